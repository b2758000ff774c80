"""Every read of the table is strongly consistent: an eventually consistent one could return 404 after a 201.

moto always reads consistently, so the tests check the requests (DynamoDB Developer Guide, "Read
consistency").
"""

from collections.abc import Iterator
from typing import Any

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.domain.errors import RecordingNotFound
from recordings.domain.lifecycle import Status
from recordings.ports.repositories import Filter
from tests.support.builders import NOON, a_recording, a_room
from tests.support.table import a_table

READS = ("GetItem", "Query", "BatchGetItem")


@pytest.fixture
def reads() -> Iterator[list[tuple[str, bool]]]:
    """The reads that are sent, each with whether it is strongly consistent."""
    sent: list[tuple[str, bool]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "BatchGetItem":
            sent.extend((model.name, table.get("ConsistentRead", False)) for table in params["RequestItems"].values())
        elif model.name in READS:
            sent.append((model.name, params.get("ConsistentRead", False)))

    events = client.meta.events
    with a_table():
        events.register("provide-client-params.dynamodb", note)
        try:
            yield sent
        finally:
            events.unregister("provide-client-params.dynamodb", note)


def test_every_read_is_strongly_consistent(reads: list[tuple[str, bool]]) -> None:
    rooms, recordings = DynamoRooms(), DynamoRecordings()
    rooms.add(a_room())
    rooms.get("tenant_1", "room_1")
    rooms.list("tenant_1", limit=1)
    rooms.find_by_meeting_id("meeting_1")
    recording = a_recording(status=Status.PROCESSING)
    recordings.add(recording, lease_nonce=None)
    recordings.get("tenant_1", recording.id)
    recordings.get_including_deleted("tenant_1", recording.id)
    recordings.find_by_cloudflare_recording_id("capture_1")
    recordings.find_by_cloudflare_recording_ids(["capture_1"])
    for only in (Filter(), Filter(room_id="room_1"), Filter(statuses=frozenset({Status.PROCESSING}))):
        assert recordings.page("tenant_1", only, limit=1).total == 1
    recordings.page("tenant_1", Filter(created_after=NOON.replace(hour=1)), limit=1)
    assert [*recordings.list_unfinished()] == [recording]
    assert [*recordings.list_all("tenant_1")] == [recording]
    with pytest.raises(RecordingNotFound):
        recordings.get("tenant_2", recording.id)
    assert {operation for operation, _ in reads} == {*READS}
    assert [operation for operation, consistent in reads if not consistent] == []
