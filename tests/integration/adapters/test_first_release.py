"""Items without `kind`, as releases before pynamodb stored them: the present code reads them, and writes what those
releases can read.

`tests/data/first_release_items.json` was recorded from their adapters, in DynamoDB's own format.
test_stored_recordings has every state of a recording.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from recordings.adapters.dynamodb.audit import DynamoOpenFindings, DynamoTenants
from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.adapters.dynamodb.task_tokens import pop_task_token, store_task_token
from recordings.domain.errors import ProviderThrottled, RequestInProgress
from recordings.domain.sync import SyncItem, SyncWindow
from recordings.request_context import request_context
from tests.support.builders import NOON, a_recording, a_room
from tests.support.table import a_table, items
from tests.support.template import ROOT

LATER = NOON + timedelta(minutes=1)
RECORDED: list[dict[str, Any]] = json.loads((ROOT / "tests/data/first_release_items.json").read_text())
WAITING = a_recording(id="rec_01KE9JV8G00000000000000002", attempt=2)


@pytest.fixture
def stored() -> Iterator[None]:
    with a_table():
        for item in RECORDED:
            client.put_item(TableName=TABLE, Item=item)
        yield


def recorded(pk: str, sk: str | None = None) -> dict[str, Any]:
    (found,) = [item for item in RECORDED if item["pk"]["S"] == pk and sk in (None, item["sk"]["S"])]
    return found


def written(pk: str, sk: str | None = None) -> dict[str, Any]:
    (found,) = [item for item in items() if item["pk"]["S"] == pk and sk in (None, item["sk"]["S"])]
    return found


@pytest.mark.usefixtures("stored")
def test_keys_and_responses_are_read() -> None:
    keys = DynamoIdempotencyKeys()
    with pytest.raises(RequestInProgress):
        keys.reserve("tenant_1", "k1", fingerprint="f", now=NOON)
    assert keys.reserve("tenant_1", "k1", fingerprint="other", now=LATER) is None
    assert keys.reserve("tenant_1", "k2", fingerprint="f", now=LATER) == {"statusCode": 201}


@pytest.mark.usefixtures("stored")
def test_a_task_token_is_read_and_a_newer_attempt_replaces_it() -> None:
    store_task_token(a_recording(id=WAITING.id, attempt=1), "older")
    assert pop_task_token(WAITING, only="another") is None
    store_task_token(a_recording(id=WAITING.id, attempt=3), "newer")
    assert pop_task_token(WAITING) == "newer"
    assert pop_task_token(WAITING) is None


@pytest.mark.usefixtures("stored")
def test_checksums_tenants_findings_and_the_retry_queue_are_read() -> None:
    assert DynamoPartChecksums().get_all("upload") == {7: 123456789}
    assert DynamoTenants().get_all() == {"tenant_1": NOON, "a#b": None}
    assert DynamoOpenFindings().get_all("tenant_1") == {"k": NOON}
    assert SyncItem.of_meeting("meeting_7") in DynamoRetryQueue().list_all()


@pytest.mark.usefixtures("stored")
def test_the_lease_of_a_running_sync_holds_and_its_watermark_is_read() -> None:
    state = DynamoSyncLease()
    assert state.acquire(nonce="n2", now=LATER, until=LATER + timedelta(minutes=9)) is None
    after = LATER + timedelta(minutes=9)
    assert state.acquire(nonce="n2", now=after, until=after) == SyncWindow(NOON, False, LATER)


@pytest.mark.usefixtures("stored")
def test_calls_that_were_counted_and_a_block_are_read() -> None:
    blocked = float(recorded("BUDGET")["blocked_until"]["N"])
    with request_context(tenant_id="acme"):
        with pytest.raises(ProviderThrottled):
            DynamoRateLimiter(clock=lambda: blocked - 0.5).acquire()
        DynamoRateLimiter(clock=lambda: blocked).acquire()
    assert written("BUDGET")["used"] == {"N": "3000"}


@pytest.mark.usefixtures("stored")
def test_rooms_their_locks_and_their_meetings_are_read() -> None:
    rooms = DynamoRooms()
    room = rooms.get("tenant_1", "room_1")
    assert room.active_recording_id == "rec_01KE9JV8G00000000000000000"
    assert (room.meeting_id, room.record_on_start, room.version) == ("meeting_1", a_room().record_on_start, 1)
    assert rooms.find_by_meeting_id("meeting_1") == room
    assert [one.id for one in rooms.list("tenant_1", limit=10).items] == ["room_1"]
    assert rooms.find_last_name("a#b", "room_2") == a_room().name
    released = rooms.find_meeting_ownership("meeting_2")
    assert released is not None
    assert (released.tenant_id, released.holder) == ("a#b", None)
    assert rooms.acquire_creation_lock("tenant_1", "room_9", nonce="m", now=LATER, until=LATER) == "meeting_9"


def test_a_meeting_of_the_first_release_names_its_room_alone() -> None:
    link = {"tenant_id": {"S": "tenant_1"}, "room_id": {"S": "room_1"}}
    with a_table():
        client.put_item(TableName=TABLE, Item={"pk": {"S": "MEETING#m"}, "sk": {"S": "LINK"}, **link})
        ownership = DynamoRooms().find_meeting_ownership("m")
    assert ownership is not None
    assert ownership.holder is not None
    assert (ownership.holder.room_id, ownership.version, ownership.owned_since) == ("room_1", 0, None)


def test_rooms_are_written_as_the_first_release_wrote_them() -> None:
    with a_table():
        rooms = DynamoRooms()
        rooms.add(a_room(), adopted=True)
        gone = a_room(id="room_2", meeting_id="meeting_2", tenant_id="a#b")
        rooms.add(gone)
        rooms.remove(gone)
        rooms.acquire_creation_lock("tenant_1", "room_9", nonce="n", now=NOON, until=LATER)
        rooms.note_meeting("tenant_1", "room_9", nonce="n", meeting_id="meeting_9")
        for pk in ("MEETING#meeting_1", "T#a%23b#ROOMNAME", "T#tenant_1#CLAIM", "T#tenant_1#ROOM"):
            now, then = written(pk), recorded(pk)
            assert now.pop("kind")["S"]
            # The first release stored no actor.
            now.pop("by", None)
            # The recorded room was taken by a recording since.
            assert now == {name: value for name, value in then.items() if name != "active_recording_id"}


def test_the_present_code_writes_what_the_first_release_wrote_and_a_kind() -> None:
    """So an earlier release can be deployed again."""
    with a_table():
        keys, state = DynamoIdempotencyKeys(), DynamoSyncLease()
        keys.reserve("tenant_1", "k1", fingerprint="f", now=NOON)
        keys.reserve("tenant_1", "k2", fingerprint="f", now=NOON)
        keys.store_response("tenant_1", "k2", response={"statusCode": 201}, now=NOON)
        store_task_token(WAITING, "token")
        DynamoPartChecksums().store("upload", {7: 123456789})
        DynamoRetryQueue().add(SyncItem.of_meeting("meeting_7"))
        DynamoTenants().note_audit("tenant_1", at=NOON)
        DynamoOpenFindings().add("tenant_1", ["k"], at=NOON)
        state.acquire(nonce="n0", now=NOON, until=LATER)
        state.release(nonce="n0", watermark=NOON, full_at=NOON)
        state.acquire(nonce="n1", now=LATER, until=LATER + timedelta(minutes=9))
        with request_context(tenant_id="acme"):
            DynamoRateLimiter().acquire()
            DynamoRateLimiter("stop").acquire()
        DynamoRateLimiter().block(0)
        places = [
            ("T#tenant_1#IDEMPOTENCY", "k1"),
            ("T#tenant_1#IDEMPOTENCY", "k2"),
            ("T#tenant_1#TOKEN", WAITING.id),
            ("PARTS#upload", "00007"),
            ("LOOKS", "MEETING#meeting_7"),
            ("TENANTS", "tenant_1"),
            ("T#tenant_1#SUSPECTS", None),
            ("SYNC", "STATE"),
            ("BUDGET", "CLOUDFLARE"),
        ]
        for place in places:
            now, then = written(*place), recorded(*place)
            assert now.pop("kind")["S"]
            assert {name: shape(name, value) for name, value in now.items()} == {
                name: shape(name, value) for name, value in then.items()
            }


def shape(name: str, value: dict[str, Any]) -> Any:
    """The part of a value that must be the same: all of it, except for times and nonces."""
    varies = {"nonce", "expires_at", "tick", "blocked_until"}
    return value if name not in varies or value == {"S": "n1"} else [*value]
