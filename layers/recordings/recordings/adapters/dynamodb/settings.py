"""The table's settings."""

from datetime import timedelta
from typing import Final

from recordings import settings

TABLE: Final = settings.TABLE().name


def retention() -> timedelta | None:
    """Return how long a deleted recording is kept; None: for ever."""
    return settings.TABLE().retention or None
