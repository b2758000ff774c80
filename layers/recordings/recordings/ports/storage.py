"""The buckets that hold files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from recordings.domain.archive import Tier


@dataclass(frozen=True, slots=True)
class RestoreStatus:
    """What cold storage says of one file: whether a copy can be read, until when, and whether one is on its way."""

    ongoing: bool
    until: datetime | None
    storage_class: str


class ArchiveStore(Protocol):
    """Cold storage."""

    def look(self, key: str) -> RestoreStatus | None:
        """The state of a file, or None when it is not there."""

    def restore(self, key: str, *, days: int, tier: Tier) -> bool:
        """Ask for a readable copy; False when one is on its way already at this speed or faster.

        Raises RetrievalRefused when the fastest tier has no room now.
        """
