"""Announce changes of status and imports to the tenants' systems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recordings.domain.change import RecordingChange
from recordings.domain.errors import Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports.events import EventBus

DETAIL_TYPE: Final = "recording.status_changed"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What became of a batch of changes. Both attributes have the keys of the batch."""

    entered: Mapping[str, Status]
    refused: frozenset[str]

    def confirm(self, key: str) -> Status | None:
        """Return the status whose entering was announced for this change, or None if it needed no announcement.

        Raises:
            Throttled: the bus refused the event; the stream delivers the change again, with the same `event_id`
        """
        if key in self.refused:
            raise Throttled("The event bus refused an event. The stream delivers the change again.")
        return self.entered.get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceChanges:
    """`event` makes the event's document of the status before (None for an import) and the recording after."""

    bus: EventBus
    event: Callable[[Status | None, Recording], Mapping[str, Any]]

    def __call__(self, changes: Mapping[str, RecordingChange]) -> Announcement:
        """Publish an event for each change of status and each import, in the order of `changes`.

        Raises:
            Throttled: the bus is busy or does not respond
            InfrastructureError: the bus denies the call
        """
        transitions = {key: change.transition for key, change in changes.items()}
        entered = {key: transition for key, transition in transitions.items() if transition is not None}
        keys = list(entered)
        refused = frozenset(
            keys[index] for index in self.bus.publish(DETAIL_TYPE, [self.event(*one) for one in entered.values()])
        )
        return Announcement({key: after.status for key, (_, after) in entered.items() if key not in refused}, refused)
