"""The books as SQLAlchemy Core tables: what must outlive Redis.

Times are Unix milliseconds, money is integers in minor units beside its currency, ids are the opaque ids of
the contract. The migrations build exactly these tables; a test compares the two. A sold reservation stands in
`order_lines` once at most, whatever is retried or delivered twice.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

# Every constraint has a name that follows from its columns, so that a migration can drop it anywhere.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)

# None is stored as SQL NULL, never as the JSON text `null`. Not JSONB, which would sort the options by name.
Document = JSON(none_as_null=True)

# SQLite counts only in a column that it calls INTEGER.
Counter = BigInteger().with_variant(Integer, "sqlite")

products = Table(
    "products",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("options", Document, nullable=False),  # {name: value}
    Column("unit_price", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("compare_at_price", BigInteger),
    Column("images", Document, nullable=False),  # [url]
    Column("inventory_quantity", BigInteger),
    Column("tags", Document, nullable=False),  # [tag]
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # the order of the feeds; lists go by (position, sku)
    Column(
        "search_text", Text, nullable=False
    ),  # case-folded title, sku, handle, vendor and tags, one a line
    CheckConstraint("unit_price >= 0", name="unit_price"),
    Index(None, "position", "sku"),
)

drops = Table(
    "drops",
    metadata,
    Column("id", Text, primary_key=True),
    Column("show", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),  # offered so far, restocks included
    Column("unit_price", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("terms", Document, nullable=False),  # hold_seconds, limit_per_viewer, mode …
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("offset", BigInteger, nullable=False),  # the log's event that this row shows; older ones never win
    CheckConstraint("quantity >= 0", name="quantity"),
    Index(None, "show", "created_at", "id"),
)

# Whose a show is must be known for as long as its orders change, which is longer than Redis keeps it.
shows = Table(
    "shows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("terms", Document, nullable=False),  # locale, starts_at, limit_per_viewer …
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),  # the log's event that this row shows; older ones never win
)

log_positions = Table(
    "log_positions",
    metadata,
    Column("show", Text, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),  # the last event of the log that the books hold
)

orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("show", Text, nullable=False),
    Column("viewer", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("contact", Text),  # e-mail and address, sealed for the order's id
    Column("locale", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("total >= 0", name="total"),
    Index(None, "show", "created_at", "id"),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 0, as in the answer
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("drop_id", Text, nullable=False, index=True),
    Column("reservation", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    # Of the units: paid back, or being so; and of these, to be sold again.
    Column("refunded", BigInteger, nullable=False, server_default="0"),
    Column("restocked", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("reservation"),  # a reservation is sold once only
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("refunded BETWEEN 0 AND quantity", name="refunded"),
    CheckConstraint("restocked BETWEEN 0 AND refunded", name="restocked"),
    CheckConstraint("unit_price >= 0", name="unit_price"),
)

payments = Table(
    "payments",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("reference", Text),  # the provider's own id of the payment, once it gave one
    Column("status", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("provider", "reference"),  # one payment at the provider pays one order
    CheckConstraint("amount >= 0", name="amount"),
)

order_changes = Table(
    "order_changes",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 0, in the order of the changes
    Column("status", Text, nullable=False),  # what the order became
    Column("by", Text, nullable=False),  # a subject, or `checkout` and `rebuild`
    Column("at", BigInteger, nullable=False),
    Column("details", Document),  # carrier and tracking number, a refund's id …
)

refunds = Table(
    "refunds",
    metadata,
    Column("id", Text, primary_key=True),  # also what the provider knows it by
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False, index=True),
    Column("status", Text, nullable=False),  # asked -> paid; refused
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("lines", Document, nullable=False),  # [[position, units]]
    Column("restock", Boolean, nullable=False),
    Column("becomes", Text, nullable=False),  # refunded or cancelled: what the order is once all is paid back
    Column("by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),  # when a worker goes on with it, should nobody else have
    # Whether nothing is left to do: refused, or paid and its units back in stock where they go there.
    Column("settled", Boolean, nullable=False, index=True),
    CheckConstraint("amount >= 0", name="amount"),
)

# Double entry: the entries of a movement sum to nothing, and so does the whole table in each currency.
entries = Table(
    "entries",
    metadata,
    Column("movement", Text, primary_key=True),  # `<order> captured`, `<refund> paid`: written once
    Column("account", Text, primary_key=True),  # `provider:<name>` what it owes us, `sales` what was earned
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),  # minor units; more than 0 where the account gets it
    Column("currency", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# What is to be told to the shop: written in the transaction of the change itself.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Counter, primary_key=True, autoincrement=True),  # the order in which it was committed
    Column("id", Text, nullable=False),  # `webhook-id`: the same whatever is retried
    Column("type", Text, nullable=False),
    Column("show", Text, nullable=False, index=True),
    Column(
        "subject", Text, nullable=False
    ),  # an order, a show …: what one hears of it is heard in this order
    Column("data", Document, nullable=False),
    Column("at", BigInteger, nullable=False),
    # Whether every endpoint has a delivery of it. `number` is no place to read on from: a lower one can commit later.
    Column("spread", Boolean, nullable=False, index=True),
    UniqueConstraint("id"),
)

# What hosts, moderators and services did, or tried: no bodies, and nothing of buyers.
actions = Table(
    "actions",
    metadata,
    Column("number", Counter, primary_key=True, autoincrement=True),  # the order in which it was written
    Column("id", Text, nullable=False),  # by which a repeated write is known
    Column("at", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("show", Text),
    Column("verb", Text, nullable=False),  # the operation's name
    Column("object", Text),  # a drop, an order, a webhook …
    Column("outcome", Text, nullable=False),  # ok, or an error's code
    Column("request", Text),  # the X-Request-ID that it came with
    UniqueConstraint("id"),
    Index(None, "show", "number"),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False, index=True),  # who made it: hears of their own shows
    Column("every_show", Boolean, nullable=False),  # of a service for all shows
    Column("url", Text, nullable=False),
    Column("events", Document, nullable=False),  # [type]; all where empty
    Column(
        "secrets", Document, nullable=False
    ),  # [[secret, valid until in ms or null]], newest first, sealed
    Column("status", Text, nullable=False),  # enabled, disabled
    Column("reason", Text),  # why it is disabled
    Column("quiet_until", BigInteger, nullable=False),  # it asked to be left alone until then
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint_id", Text, ForeignKey("webhook_endpoints.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # of the outbox
    Column("subject", Text, nullable=False),
    Column("status", Text, nullable=False),  # waiting, delivered, parked
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("answer", Integer),  # the last answer's status
    Column("problem", Text),  # why the last attempt failed
    Column("worker", Text),  # who sends it now, until the lease ends: then anybody may
    Column("leased_until", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "status", "next_at"),
    Index(None, "endpoint_id", "subject", "number"),
)
