"""Money and messages: refunds, double entry, an order's changes, the shows, the outbox and the webhooks it goes to.

Contact data that was kept in the clear goes: from here on it is kept sealed, and no version was released before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    """Make the tables; an order's contact is one sealed text."""
    op.create_table(
        "outbox",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("show", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", DOCUMENT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("spread", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_id")),
    )
    op.create_index(op.f("ix_outbox_show"), "outbox", ["show"], unique=False)
    op.create_index(op.f("ix_outbox_spread"), "outbox", ["spread"], unique=False)
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("every_show", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", DOCUMENT, nullable=False),
        sa.Column("secrets", DOCUMENT, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("quiet_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(op.f("ix_webhook_endpoints_owner"), "webhook_endpoints", ["owner"], unique=False)
    op.create_table(
        "shows",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("terms", DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shows")),
    )
    op.create_index(op.f("ix_shows_host"), "shows", ["host"], unique=False)
    op.create_table(
        "entries",
        sa.Column("movement", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_entries_order_id")),
        sa.PrimaryKeyConstraint("movement", "account", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_order_id"), "entries", ["order_id"], unique=False)
    op.create_table(
        "order_changes",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("details", DOCUMENT, nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_changes_order_id")),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_order_changes")),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("lines", DOCUMENT, nullable=False),
        sa.Column("restock", sa.Boolean(), nullable=False),
        sa.Column("becomes", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_refunds_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refunds_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
    )
    op.create_index(op.f("ix_refunds_order_id"), "refunds", ["order_id"], unique=False)
    op.create_index(op.f("ix_refunds_settled"), "refunds", ["settled"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "number", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_status_next_at"),
        "webhook_deliveries",
        ["status", "next_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_id_subject_number"),
        "webhook_deliveries",
        ["endpoint_id", "subject", "number"],
        unique=False,
    )
    # As text, because SQLite takes a further check only as a part of its column.
    for column, bound in (("refunded", "quantity"), ("restocked", "refunded")):
        op.execute(
            f"ALTER TABLE order_lines ADD COLUMN {column} BIGINT DEFAULT '0' NOT NULL "
            f"CONSTRAINT ck_order_lines_{column} CHECK ({column} BETWEEN 0 AND {bound})"
        )
    op.add_column("orders", sa.Column("contact", sa.Text(), nullable=True))
    op.drop_column("orders", "shipping_address")
    op.drop_column("orders", "email")


def downgrade() -> None:
    """Take them away."""
    op.add_column("orders", sa.Column("email", sa.TEXT(), nullable=True))
    op.add_column("orders", sa.Column("shipping_address", DOCUMENT, nullable=True))
    op.drop_column("orders", "contact")
    op.drop_column("order_lines", "restocked")
    op.drop_column("order_lines", "refunded")
    op.drop_index(op.f("ix_webhook_deliveries_endpoint_id_subject_number"), table_name="webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_status_next_at"), table_name="webhook_deliveries")
    op.drop_table("webhook_deliveries")
    op.drop_index(op.f("ix_refunds_settled"), table_name="refunds")
    op.drop_index(op.f("ix_refunds_order_id"), table_name="refunds")
    op.drop_table("refunds")
    op.drop_table("order_changes")
    op.drop_index(op.f("ix_entries_order_id"), table_name="entries")
    op.drop_table("entries")
    op.drop_index(op.f("ix_shows_host"), table_name="shows")
    op.drop_table("shows")
    op.drop_index(op.f("ix_webhook_endpoints_owner"), table_name="webhook_endpoints")
    op.drop_table("webhook_endpoints")
    op.drop_index(op.f("ix_outbox_spread"), table_name="outbox")
    op.drop_index(op.f("ix_outbox_show"), table_name="outbox")
    op.drop_table("outbox")
