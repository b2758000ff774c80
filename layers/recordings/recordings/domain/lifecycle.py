"""The life of a recording, as a table.

    recording → processing → ready → archived
         └──────────┴─────→ failed

Commands are strict: what the table does not list is refused.
Observations are lenient: Cloudflare repeats and reorders its messages, so what the table does not
list is old news and changes nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from recordings.domain.errors import TransitionNotAllowed


class Status(StrEnum):
    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    ARCHIVED = "archived"
    FAILED = "failed"


class Command(StrEnum):
    """Somebody asks."""

    STOP = "stop"
    ARCHIVE = "archive"


class Observation(StrEnum):
    """Somebody tells: Cloudflare, S3 or our own workflow."""

    CAPTURE_ENDED = "capture_ended"
    CAPTURE_FAILED = "capture_failed"
    FILE_STORED = "file_stored"
    ARCHIVE_ABANDONED = "archive_abandoned"


type Trigger = Command | Observation
type Row = Mapping[Trigger, Status]

TRANSITIONS: Final[Mapping[Status, Row]] = MappingProxyType(
    {
        Status.RECORDING: {
            Command.STOP: Status.PROCESSING,
            Observation.CAPTURE_ENDED: Status.PROCESSING,
            Observation.CAPTURE_FAILED: Status.FAILED,
        },
        Status.PROCESSING: {
            Observation.CAPTURE_FAILED: Status.FAILED,
            Observation.FILE_STORED: Status.READY,
        },
        Status.READY: {Command.ARCHIVE: Status.ARCHIVED},
        # The one way back: an archive move that failed for good loses nothing.
        Status.ARCHIVED: {Observation.ARCHIVE_ABANDONED: Status.READY},
        Status.FAILED: {},
    }
)


def allowed(status: Status, command: Command) -> Status:
    """Return the status after `command`, or refuse with TransitionNotAllowed."""
    try:
        return TRANSITIONS[status][command]
    except KeyError:
        raise TransitionNotAllowed(f"cannot {command} a recording that is {status}") from None


def observed(status: Status, observation: Observation) -> Status:
    """Return the status after `observation`; the same status when it is old news."""
    return TRANSITIONS[status].get(observation, status)
