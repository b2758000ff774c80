"""What the environment says of the table."""

import os
from datetime import timedelta
from typing import Final

TABLE: Final = os.environ["TABLE_NAME"]


def retention() -> timedelta | None:
    """Return how long a deleted recording is kept; None: for ever."""
    days = int(os.environ.get("RETENTION_DAYS", "0"))
    return timedelta(days=days) if days else None
