"""The history of a recording: every status that it entered."""

from dataclasses import dataclass
from datetime import datetime

from recordings.domain.actor import Actor
from recordings.domain.lifecycle import Status


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: the new status, when it began, the cause, and who did it.

    `actor` is None in entries of earlier releases, and until the change is stored.
    """

    status: Status
    at: datetime
    cause: str
    actor: Actor | None = None
