"""The stream's function that announces changes: it confirms in order, from the first refused event on nothing."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from functions.trigger.announce_changes.app import handler
from recordings.adapters.aws import event_bus
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.domain.errors import InfrastructureError
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording
from recordings.observability import metrics
from tests.support.builders import NOON, a_recording
from tests.support.context import Context

RECORDING = a_recording(status=Status.RECORDING)
STOPPED = RECORDING.stopped(at=NOON, cause="api_stop")
FAILED = STOPPED.failed(Failure("x", "y"), at=NOON, cause="x")


@pytest.fixture(autouse=True)
def bus() -> Iterator[Stubber]:
    metrics.clear_metrics()
    with Stubber(event_bus._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    metrics.clear_metrics()


def record(before: Recording | None, after: Recording | None, number: str = "1") -> dict[str, Any]:
    images: dict[str, Any] = {"SequenceNumber": number}
    for name, recording in (("OldImage", before), ("NewImage", after)):
        if recording is not None:
            images[name] = RecordingItem.from_domain(recording).serialize()
    return {"eventID": number, "eventName": "MODIFY", "dynamodb": images}


def respond(bus: Stubber, accepted: Sequence[bool]) -> None:
    results = [{"EventId": "e"} if one else {"ErrorCode": "ThrottlingException"} for one in accepted]
    response = {"FailedEntryCount": accepted.count(False), "Entries": results}
    bus.add_response("put_events", response, {"Entries": ANY})


@pytest.mark.parametrize(
    ("accepted", "failed"),
    [
        pytest.param([True, True, True], [], id="all accepted"),
        pytest.param([True, False, True], ["3", "4"], id="one refused in the middle"),
        pytest.param([False, True, False], ["1", "2", "3", "4"], id="the first refused"),
        pytest.param([True, True, False], ["4"], id="the last refused"),
    ],
)
def test_the_stream_repeats_from_the_first_refused_event_on(
    bus: Stubber, accepted: list[bool], failed: list[str]
) -> None:
    records = [
        record(None, RECORDING, "1"),
        record(RECORDING, replace(RECORDING, stalled=True), "2"),
        record(RECORDING, STOPPED, "3"),
        record(STOPPED, FAILED, "4"),
    ]
    respond(bus, accepted)
    assert handler({"Records": records}, Context()) == {
        "batchItemFailures": [{"itemIdentifier": number} for number in failed]
    }
    # Lambda repeats all records from the first failed one on, so an event that will be published again is not counted.
    announced = sum(number not in failed for number in ("1", "3", "4"))
    assert metrics.metric_set.get("EventsAnnounced", {}).get("Value", [0]) == [announced]
    assert metrics.metric_set.get("EventsRefused", {}).get("Value", [0]) == [int(bool(failed))]
    entered = {name: one["Value"] for name, one in metrics.metric_set.items() if name.startswith("Entered")}
    assert sum(value for (value,) in entered.values()) == announced


def test_a_refused_change_is_logged_with_its_tenant_and_recording(bus: Stubber, log: io.StringIO) -> None:
    respond(bus, [False])
    handler({"Records": [record(RECORDING, STOPPED, "1"), record(STOPPED, STOPPED, "2")]}, Context())
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["message"] == "not announced"]
    assert (line["tenant_id"], line["recording_id"]) == (STOPPED.tenant_id, STOPPED.id)


def test_a_batch_without_a_transition_sends_nothing() -> None:
    payload = {"Records": [record(STOPPED, replace(STOPPED, stalled=True))]}
    assert handler(payload, Context()) == {"batchItemFailures": []}


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"pk": {"S": "T#tenant_1#ROOM"}, "sk": {"S": "room_1"}}, id="room"),
        pytest.param({"pk": {"S": "CLOUDFLARE#c"}, "sk": {"S": "LINK"}}, id="Cloudflare link"),
        pytest.param({"pk": {"S": "BUDGET"}, "sk": {"S": "CLOUDFLARE"}}, id="rate limit"),
        pytest.param({"pk": {"S": "OPEN"}, "sk": {"S": RECORDING.id}}, id="unfinished"),
        pytest.param({"pk": {"S": "T#tenant_1#LIST#room_1"}, "sk": {"S": RECORDING.id}}, id="room list"),
        pytest.param({"pk": {"S": "T#tenant_1#LIST#REC"}, "sk": {"S": RECORDING.id}}, id="list of a room named REC"),
        pytest.param({"pk": {"S": "T#tenant_1#LIST#TRASH"}, "sk": {"S": RECORDING.id}}, id="list of a room TRASH"),
        pytest.param({"pk": {"S": "T#tenant_1#TOKEN"}, "sk": {"S": RECORDING.id}}, id="task token"),
    ],
)
def test_an_item_that_is_no_recording_is_not_announced(item: dict[str, Any]) -> None:
    for images in ({"NewImage": item, "OldImage": item}, {"NewImage": item}):
        payload = {"Records": [{"eventID": "1", "eventName": "MODIFY", "dynamodb": {"SequenceNumber": "1", **images}}]}
        assert handler(payload, Context()) == {"batchItemFailures": []}


def test_a_malformed_record_is_an_error_that_does_not_show_the_item(log: io.StringIO) -> None:
    item = {"pk": {"S": "T#tenant_1#TOKEN"}, "sk": {"S": RECORDING.id}, "token": {"S": "secret-token"}}
    with pytest.raises(InfrastructureError):
        handler({"Records": [{"eventID": "1", "dynamodb": {"SequenceNumber": "1", "NewImage": item}}]}, Context())
    assert "secret-token" not in log.getvalue()
