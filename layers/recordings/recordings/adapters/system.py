"""The clock, and the sources of ids and nonces."""

import secrets
from datetime import UTC, datetime

from ulid import ULID


def now() -> datetime:
    """The current time in UTC, in whole seconds as the API shows it."""
    return datetime.now(UTC).replace(microsecond=0)


def new_id(at: datetime) -> str:
    """Return a new recording id, which sorts by `at`."""
    return f"rec_{ULID.from_datetime(at)}"


def new_nonce() -> str:
    """Return a random token of 128 bits."""
    return secrets.token_hex(16)
