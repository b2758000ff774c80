"""Events on the bus: ten in a call, and refused ones known by their index."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from recordings.adapters.aws import event_bus
from recordings.adapters.aws.event_bus import EventBridgeBus

TYPE = "recording.status_changed"


@pytest.fixture
def bus() -> Iterator[Stubber]:
    with Stubber(event_bus._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def respond(bus: Stubber, *calls: Sequence[bool], entries: Any = ANY) -> None:
    for accepted in calls:
        results = [{"EventId": "e"} if one else {"ErrorCode": "ThrottlingException"} for one in accepted]
        response = {"FailedEntryCount": accepted.count(False), "Entries": results}
        bus.add_response("put_events", response, {"Entries": entries})


def test_events_are_published_ten_at_a_time(bus: Stubber) -> None:
    details = [{"event_id": str(number)} for number in range(23)]
    for batch in (details[:10], details[10:20], details[20:]):
        entries = [
            {"Source": "recordings", "DetailType": TYPE, "Detail": json.dumps(one), "EventBusName": "recordings-bus"}
            for one in batch
        ]
        respond(bus, [True] * len(batch), entries=entries)
    assert EventBridgeBus().publish(TYPE, details) == set()


def test_nothing_is_sent_without_events(bus: Stubber) -> None:
    assert EventBridgeBus().publish(TYPE, []) == set()


def test_refused_events_are_returned_by_their_index(bus: Stubber) -> None:
    respond(bus, [True] * 9 + [False], [False, True])
    assert EventBridgeBus().publish(TYPE, [{}] * 12) == {9, 10}
