"""The clock and the sources of ids of the real world."""

import secrets
from datetime import UTC, datetime

from ulid import ULID


def now() -> datetime:
    """The time, aware UTC, in whole seconds as the API tells it."""
    return datetime.now(UTC).replace(microsecond=0)


def new_id(at: datetime) -> str:
    """A recording id that sorts by `at`."""
    return f"rec_{ULID.from_datetime(at)}"


def new_nonce() -> str:
    """A token that nobody else holds."""
    return secrets.token_hex(16)
