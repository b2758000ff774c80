"""Changes go to the bus in their order, and a refused one is known by its key."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from recordings.domain.change import RecordingChange
from recordings.domain.errors import Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.services.recordings.announce_changes import AnnounceChanges
from tests.support.builders import NOON, a_recording

RECORDING = a_recording(status=Status.RECORDING)
STOPPED = RECORDING.stopped(at=NOON, cause="api_stop")
CHANGES = {
    "1": RecordingChange(None, RECORDING),
    "2": RecordingChange(RECORDING, replace(RECORDING, stalled=True)),
    "3": RecordingChange(RECORDING, STOPPED),
}


class Bus:
    """Implements ports.events.EventBus. It refuses the events with these indexes."""

    def __init__(self, *refused: int) -> None:
        self.published: list[tuple[str, list[Mapping[str, Any]]]] = []
        self._refused = set(refused)

    def publish(self, detail_type: str, details: Sequence[Mapping[str, Any]]) -> set[int]:
        self.published.append((detail_type, list(details)))
        return self._refused


def event(before: Status | None, recording: Recording) -> Mapping[str, Any]:
    return {"from": before, "to": recording.status}


def test_each_transition_is_one_event_and_confirmed_with_the_status_it_entered() -> None:
    bus = Bus()
    announcement = AnnounceChanges(bus=bus, event=event)(CHANGES)
    details = [{"from": None, "to": "recording"}, {"from": "recording", "to": "processing"}]
    assert bus.published == [("recording.status_changed", details)]
    assert [announcement.confirm(key) for key in CHANGES] == [Status.RECORDING, None, Status.PROCESSING]


def test_a_refused_event_is_not_confirmed() -> None:
    announcement = AnnounceChanges(bus=Bus(1), event=event)(CHANGES)
    assert announcement.confirm("1") is Status.RECORDING
    assert announcement.confirm("2") is None
    with pytest.raises(Throttled):
        announcement.confirm("3")
