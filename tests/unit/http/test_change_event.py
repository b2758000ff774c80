"""The document of the event that announces a change."""

import json

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure
from recordings.http.events import status_changed
from tests.support.builders import NOON, a_file, a_recording

RECORDING = a_recording(status=Status.RECORDING)


def test_it_has_the_statuses_the_cause_and_the_recording() -> None:
    stopped = RECORDING.stopped(at=NOON, cause="api_stop")
    event = status_changed(Status.RECORDING, stopped)
    assert {name: event[name] for name in event if name != "recording"} == {
        "event_id": f"{stopped.id}-2",
        "tenant_id": "tenant_1",
        "recording_id": stopped.id,
        "room_id": "room_1",
        "from": "recording",
        "to": "processing",
        "at": "2026-01-06T12:00:00Z",
        "cause": "api_stop",
        "version": 2,
    }
    assert event["recording"]["version"] == 2
    json.dumps(event)


def test_an_import_has_no_status_before() -> None:
    event = status_changed(None, RECORDING)
    assert (event["from"], event["to"], event["event_id"]) == (None, "recording", f"{RECORDING.id}-1")


def test_the_version_counts_changes_of_other_kinds_too() -> None:
    """Else two events of one recording could not be ordered, or would count as one."""
    recovered = RECORDING.stopped(at=NOON, cause="x").recovered(at=NOON)
    ready = recovered.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
    event = status_changed(Status.PROCESSING, ready)
    assert (event["version"], event["event_id"]) == (4, f"{ready.id}-4")


def test_a_failure_is_in_the_recording() -> None:
    failed = RECORDING.failed(Failure("x", "y"), at=NOON, cause="x")
    assert status_changed(Status.RECORDING, failed)["recording"]["failure"]["code"] == "x"
