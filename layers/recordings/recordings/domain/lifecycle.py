"""The lifecycle of a recording, as a table.

    recording → processing → ready → archived
         └──────────┴─────→ failed

A command that the table does not list is refused. An observation that the table does not list changes nothing, because
Cloudflare repeats and reorders its messages.
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
    """A request of a caller."""

    STOP = "stop"
    ARCHIVE = "archive"


class Observation(StrEnum):
    """A fact that Cloudflare, S3 or one of our workflows reports."""

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
        # The only way back: an archive move that failed permanently has lost nothing.
        Status.ARCHIVED: {Observation.ARCHIVE_ABANDONED: Status.READY},
        Status.FAILED: {},
    }
)


def allowed(status: Status, command: Command) -> Status:
    """Return the status after a command.

    Raises:
        TransitionNotAllowed: the table does not list the command
    """
    try:
        return TRANSITIONS[status][command]
    except KeyError:
        raise TransitionNotAllowed(f"cannot {command} a recording that is {status}") from None


def observed(status: Status, observation: Observation) -> Status:
    """Return the status after an observation. It is the same status if the table does not list the observation."""
    return TRANSITIONS[status].get(observation, status)
