"""Structured logs: one JSON object per line on stderr, without tokens and without line breaks from outside.

Values are encoded as JSON, so CR/LF in user text cannot forge a line; fields whose name speaks of a secret are
masked, and so is anything that looks like a JWT, a webhook secret, a key of Stripe, or a buyer's way to pay.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SECRET_NAMES = frozenset(
    {"token", "authorization", "secret", "password", "cookie", "email", "shipping_address"}
)
MASK = "[masked]"

_SECRET_VALUES = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*|whsec_\S+|[sr]k_(?:live|test)_\S+|tok_\w+|\bpm_\w+|(?<=://)[^/@\s]+(?=@)"
)


def masked(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the log line's fields without anything that could be used by whoever reads it."""
    for name, value in event.items():
        if name in SECRET_NAMES:
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = _SECRET_VALUES.sub(MASK, value)
    return event


def configure(level: str) -> None:
    """Make structlog and the standard library's logging write the same kind of line, from `level` up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        masked,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    # Every request is counted in /metrics; a line for each would hide the lines that matter.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It would write whole answers at debug level, with buyers' names and addresses.
    logging.getLogger("stripe").setLevel(logging.WARNING)
