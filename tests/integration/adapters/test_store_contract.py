"""The contract of the repositories. The fakes and DynamoDB pass the same tests."""

import base64
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any
from urllib.parse import unquote

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.adapters.dynamodb.audit import DynamoOpenFindings, DynamoTenants
from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.queries import item_key
from recordings.adapters.dynamodb.recording_items import RecordingItem, UnfinishedItem
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.archive import Archive
from recordings.domain.errors import (
    ConcurrentUpdate,
    IdempotencyKeyReused,
    InvalidCursor,
    MeetingInUse,
    RecordingNotFound,
    RecordingsError,
    RequestInProgress,
    RoomAlreadyRecording,
    RoomIsRecording,
    RoomNotFound,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.domain.meeting import MeetingOwnership, Tenure
from recordings.domain.recording import Failure, Progress, Recording
from recordings.domain.room_range import RoomRange
from recordings.domain.stored_file import HeldFile
from recordings.domain.tally import day_of, difference
from recordings.ports.repositories import Filter, IdempotencyKeys, OpenFindings, Recordings, RetryQueue, Rooms, Tenants
from recordings.ports.storage import PartChecksums
from tests.support.builders import NOON, a_file, a_recording, a_room
from tests.support.fakes import (
    CountingIds,
    Memory,
    MemoryIdempotencyKeys,
    MemoryOpenFindings,
    MemoryPartChecksums,
    MemoryRecordings,
    MemoryRetryQueue,
    MemoryRooms,
    MemoryTenants,
)
from tests.support.table import a_table, plain_items, recorded
from tools.listings import faults_of_lists

# By tenant, room (None: all its rooms) and day.
type Tallies = dict[tuple[str, str | None, str], dict[str, int]]

# Names that would reach into each other's keys if they were not percent-encoded.
TENANTS = ["a", "a#REC", "a#ROOM", "a%23REC", "a/b", "a%2Fb", "T#a", "ä", "日本", "A", "a b", "a#ROOM#x", ".", "🎬"]


@dataclass
class Store:
    rooms: Rooms
    recordings: Recordings
    keys: IdempotencyKeys
    checksums: PartChecksums
    tenants: Tenants
    findings: OpenFindings
    kept: RetryQueue
    read_tallies: Callable[[], Tallies]
    find_faults: Callable[[], Iterator[str]] = lambda: iter(())

    @property
    def tallies(self) -> Tallies:
        """The tallies by tenant, room and day, without counters that are zero."""
        plain = {key: {name: n for name, n in tally.items() if n} for key, tally in self.read_tallies().items()}
        return {key: tally for key, tally in plain.items() if tally}


def in_memory() -> Store:
    memory = Memory()

    def tallies() -> Tallies:
        return {key: dict(tally) for key, tally in memory.tallies.items()}

    return Store(
        MemoryRooms(memory),
        MemoryRecordings(memory),
        MemoryIdempotencyKeys(memory),
        MemoryPartChecksums(),
        MemoryTenants(memory),
        MemoryOpenFindings(),
        MemoryRetryQueue(memory),
        tallies,
    )


def in_dynamo() -> Store:
    plain = TypeDeserializer().deserialize

    def tallies() -> Tallies:
        found: Tallies = {}
        for page in client.get_paginator("scan").paginate(TableName=TABLE):
            for row in page["Items"]:
                item = {name: plain(value) for name, value in row.items()}
                partition, day = item.pop("pk"), item.pop("sk")
                if counts := re.fullmatch(r"T#([^#]*)#DAY(?:#(.*))?", partition):
                    key = unquote(counts[1]), counts[2], day
                    found[key] = {name: int(count) for name, count in item.items() if name != "kind"}
        return found

    return Store(
        DynamoRooms(),
        DynamoRecordings(),
        DynamoIdempotencyKeys(),
        DynamoPartChecksums(),
        DynamoTenants(),
        DynamoOpenFindings(),
        DynamoRetryQueue(),
        tallies,
        lambda: faults_of_lists(plain_items()),
    )


KINDS: dict[str, tuple[Callable[[], AbstractContextManager[Any]], Callable[[], Store]]] = {
    "memory": (nullcontext, in_memory),
    # Day tallies are maintained, and pages are read from rows.
    "dynamo": (partial(a_table, Layout.ROWS_WITH_DAYS), in_dynamo),
}
PAGED = KINDS | {"dynamo with day tallies": (partial(a_table, Layout.BOTH), in_dynamo)}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    within, make = KINDS[request.param]
    with within():
        yield make()


@pytest.fixture(params=PAGED)
def paged(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that is read in each of the ways in which pages are read."""
    within, make = PAGED[request.param]
    with within():
        yield make()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def assert_counts(store: Store, *recordings: Recording) -> None:
    wanted: dict[tuple[str, str | None, str], Counter[str]] = {}
    for one in recordings:
        for room_id in (None, one.room_id):
            wanted.setdefault((one.tenant_id, room_id, day_of(one.created_at)), Counter()).update(difference(None, one))
    assert store.tallies == {key: dict(tally) for key, tally in wanted.items() if tally}


def ended(**changes: Any) -> Recording:
    """A recording that needs no room."""
    return a_recording(status=Status.PROCESSING, **changes)


# ---------------------------------------------------------------- rooms


def test_a_room_is_read_as_it_was_added(store: Store) -> None:
    room = a_room(name="Zoë 🎬", record_on_start=True)
    store.rooms.add(room)
    assert store.rooms.get("tenant_1", "room_1") == room
    assert store.rooms.find_by_meeting_id("meeting_1") == room


@pytest.mark.parametrize("room_id", ["room_2", "", "x" * 1025, "\ud800"])
def test_an_unknown_room_is_not_found(store: Store, room_id: str, now: datetime) -> None:
    store.rooms.add(a_room())
    with pytest.raises(RoomNotFound):
        store.rooms.get("tenant_1", room_id)
    with pytest.raises(RoomNotFound):
        store.rooms.acquire_lock("tenant_1", room_id, nonce="n", now=now, until=now + timedelta(seconds=60))
    assert store.rooms.find_by_meeting_id("meeting_2") is None


def test_a_room_is_added_once(store: Store) -> None:
    store.rooms.add(a_room(name="first"))
    with pytest.raises(ConcurrentUpdate):
        store.rooms.add(a_room(name="second", meeting_id="meeting_2"))
    assert store.rooms.get("tenant_1", "room_1").name == "first"
    assert store.rooms.find_by_meeting_id("meeting_2") is None


def test_a_room_added_again_with_the_same_meeting_is_the_same_refusal(store: Store) -> None:
    store.rooms.add(a_room())
    with pytest.raises(ConcurrentUpdate):
        store.rooms.add(a_room())


@pytest.mark.parametrize("tenant", ["tenant_1", "tenant_2"])
def test_a_meeting_belongs_to_one_room_of_one_tenant(store: Store, tenant: str) -> None:
    store.rooms.add(a_room())
    with pytest.raises(MeetingInUse):
        store.rooms.add(a_room(tenant_id=tenant, id="room_2"))
    with pytest.raises(RoomNotFound):
        store.rooms.get(tenant, "room_2")
    assert store.rooms.find_by_meeting_id("meeting_1") == a_room()


def test_a_saved_room_is_read_back(store: Store) -> None:
    before = a_room()
    store.rooms.add(before)
    after = replace(before, name="New", record_on_start=True, updated_at=NOON + timedelta(hours=1), version=2)
    store.rooms.save(before, after)
    assert store.rooms.get("tenant_1", "room_1") == after


def test_a_stale_room_is_not_saved(store: Store) -> None:
    before = a_room()
    store.rooms.add(before)
    store.rooms.save(before, replace(before, name="first", version=2))
    with pytest.raises(ConcurrentUpdate):
        store.rooms.save(before, replace(before, name="second", version=2))
    assert store.rooms.get("tenant_1", "room_1").name == "first"


def test_a_room_that_is_gone_is_not_saved(store: Store) -> None:
    with pytest.raises(ConcurrentUpdate):
        store.rooms.save(a_room(), a_room(name="ghost", version=2))
    with pytest.raises(RoomNotFound):
        store.rooms.get("tenant_1", "room_1")


def test_a_room_that_changes_its_meeting_releases_the_old_one(store: Store) -> None:
    before = a_room()
    store.rooms.add(before)
    after = replace(before, meeting_id="meeting_2", version=2)
    store.rooms.save(before, after)
    assert store.rooms.find_by_meeting_id("meeting_1") is None
    assert store.rooms.find_by_meeting_id("meeting_2") == after
    assert [item.meeting_id for item in store.kept.list_all()] == ["meeting_1", "meeting_2"]
    store.rooms.add(a_room(id="room_2", meeting_id="meeting_1"), adopted=True)


def test_a_room_cannot_change_to_a_meeting_of_another(store: Store) -> None:
    store.rooms.add(a_room())
    other = a_room(id="room_2", meeting_id="meeting_2")
    store.rooms.add(other)
    with pytest.raises(MeetingInUse):
        store.rooms.save(other, replace(other, meeting_id="meeting_1", version=2))
    assert store.rooms.get("tenant_1", "room_2") == other
    assert store.rooms.find_by_meeting_id("meeting_1") == a_room()


def test_a_stale_room_takes_no_meeting(store: Store) -> None:
    before = a_room()
    store.rooms.add(before)
    store.rooms.save(before, replace(before, version=2))
    with pytest.raises(ConcurrentUpdate):
        store.rooms.save(before, replace(before, meeting_id="meeting_2", version=2))
    assert store.rooms.find_by_meeting_id("meeting_2") is None


def test_saving_a_room_never_touches_its_lock(store: Store, now: datetime) -> None:
    before = a_room()
    store.rooms.add(before)
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    store.rooms.save(before, replace(before, name="New", version=2))
    room = store.rooms.get("tenant_1", "room_1")
    assert (room.name, room.lease_nonce, room.lease_until) == ("New", "n", now + timedelta(seconds=60))


def test_a_removed_room_leaves_its_meeting_free_for_its_tenant_alone(store: Store) -> None:
    store.rooms.add(a_room())
    store.rooms.remove(a_room())
    with pytest.raises(RoomNotFound):
        store.rooms.get("tenant_1", "room_1")
    assert store.rooms.find_by_meeting_id("meeting_1") is None
    for adopted in (False, True):
        with pytest.raises(MeetingInUse):
            store.rooms.add(a_room(id="room_2", tenant_id="tenant_2"), adopted=adopted)
    store.rooms.add(a_room(id="room_2"), adopted=True)
    assert store.rooms.find_by_meeting_id("meeting_1") == a_room(id="room_2")


def test_the_ownership_of_a_meeting_is_read_as_it_was_stored(store: Store, now: datetime) -> None:
    assert store.rooms.find_meeting_ownership("meeting_1") is None
    store.rooms.add(a_room(name="First"), adopted=True)
    began = MeetingOwnership.begin(a_room(), adopted=True)
    assert store.rooms.find_meeting_ownership("meeting_1") == began
    store.rooms.remove(store.rooms.get("tenant_1", "room_1"))
    released = store.rooms.find_meeting_ownership("meeting_1")
    assert released is not None
    (ended,) = released.tenures
    assert (ended.room_id, ended.room_name, ended.since) == ("room_1", "First", NOON)
    assert ended.until is not None
    assert ended.until >= now
    again = a_room(id="room_2", updated_at=NOON + timedelta(days=1))
    store.rooms.add(again, adopted=True)
    held = store.rooms.find_meeting_ownership("meeting_1")
    assert held == released.taken_by(again)
    assert (held.owned_since, held.holder) == (NOON, Tenure(room_id="room_2", since=NOON + timedelta(days=1)))


def test_a_created_meeting_belongs_to_its_room_from_the_start(store: Store) -> None:
    store.rooms.add(a_room())
    assert store.rooms.find_meeting_ownership("meeting_1") == MeetingOwnership.begin(a_room(), adopted=False)


@pytest.mark.parametrize("nonce", ["theirs", None])
def test_only_who_holds_the_lease_releases_the_meeting(store: Store, now: datetime, nonce: str | None) -> None:
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="ours", now=now, until=now + timedelta(seconds=60))
    room = store.rooms.get("tenant_1", "room_1")
    with pytest.raises(RoomIsRecording):
        store.rooms.remove(room, lease_nonce=nonce)
    if nonce is not None:
        with pytest.raises(ConcurrentUpdate):
            store.rooms.save(room, replace(room, meeting_id="meeting_2", version=2), lease_nonce=nonce)
    assert store.rooms.find_by_meeting_id("meeting_1") == room
    store.rooms.remove(room, lease_nonce="ours")
    assert store.rooms.find_by_meeting_id("meeting_1") is None


def test_a_room_that_records_is_not_removed_under_a_lease(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="ours", now=now, until=now + timedelta(seconds=60))
    recording = a_recording()
    store.recordings.add(recording, lease_nonce="ours")
    with pytest.raises(RoomIsRecording) as refused:
        store.rooms.remove(store.rooms.get("tenant_1", "room_1"), lease_nonce="ours")
    assert refused.value.blocker == recording


def test_a_meeting_that_another_tenant_took_after_the_read_is_refused(store: Store) -> None:
    """The link was free when it was read, and is another tenant's when the room is stored."""
    look = store.rooms.find_meeting_ownership
    looked: list[MeetingOwnership | None] = []

    def late(meeting_id: str) -> MeetingOwnership | None:
        found = look(meeting_id)
        if not looked:
            looked.append(found)
            store.rooms.add(a_room(tenant_id="tenant_2"), adopted=True)
        return found

    store.rooms.find_meeting_ownership = late  # type: ignore[method-assign]
    with pytest.raises(MeetingInUse):
        store.rooms.add(a_room(), adopted=True)
    ownership = look("meeting_1")
    assert ownership is not None
    assert ownership.tenant_id == "tenant_2"


def test_the_last_name_of_a_room_outlives_it(store: Store) -> None:
    assert store.rooms.find_last_name("tenant_1", "room_1") is None
    room = a_room()
    store.rooms.add(room)
    store.rooms.save(room, replace(room, name="Renamed", version=room.version + 1))
    assert store.rooms.find_last_name("tenant_1", "room_1") == "Renamed"
    store.rooms.remove(store.rooms.get("tenant_1", "room_1"))
    assert store.rooms.find_last_name("tenant_1", "room_1") == "Renamed"
    for tenant_id, room_id in (("tenant_2", "room_1"), ("tenant_1", "room_2"), ("tenant_1", "")):
        assert store.rooms.find_last_name(tenant_id, room_id) is None
    store.rooms.add(replace(room, name="Anew"), adopted=True)
    assert store.rooms.find_last_name("tenant_1", "room_1") == "Anew"


def test_a_room_is_removed_once(store: Store) -> None:
    store.rooms.add(a_room())
    store.rooms.remove(a_room())
    with pytest.raises(RoomNotFound):
        store.rooms.remove(a_room())


def test_a_stale_room_is_not_removed(store: Store) -> None:
    store.rooms.add(a_room())
    store.rooms.save(a_room(), a_room(name="New", version=2))
    with pytest.raises(ConcurrentUpdate):
        store.rooms.remove(a_room())
    assert store.rooms.find_by_meeting_id("meeting_1") is not None


def test_a_room_that_is_recording_is_not_removed(store: Store) -> None:
    store.rooms.add(a_room())
    recording = a_recording()
    store.recordings.add(recording, lease_nonce=None)
    with pytest.raises(RoomIsRecording):
        store.rooms.remove(store.rooms.get("tenant_1", "room_1"))
    store.recordings.save(recording, recording.stopped(at=NOON, cause="x"))
    store.rooms.remove(store.rooms.get("tenant_1", "room_1"))


def test_a_room_under_a_lease_is_not_removed_until_it_ends(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    with pytest.raises(RoomIsRecording):
        store.rooms.remove(a_room())
    store.rooms.release_lock("tenant_1", "room_1", nonce="n")
    store.rooms.remove(a_room())


def test_a_room_whose_lease_ran_out_is_removed(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    past = now - timedelta(seconds=90)
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=past, until=past + timedelta(seconds=60))
    store.rooms.remove(a_room())
    with pytest.raises(RoomNotFound):
        store.rooms.get("tenant_1", "room_1")


# ---------------------------------------------------------------- tenants


def test_a_tenant_that_ever_had_a_room_is_listed(store: Store) -> None:
    assert store.tenants.get_all() == {}
    for number, tenant in enumerate([*TENANTS, "x" * 256, "🎬" * 120]):
        room = a_room(tenant_id=tenant, meeting_id=f"meeting_{number}")
        store.rooms.add(room)
        store.rooms.remove(room)
    assert store.tenants.get_all() == dict.fromkeys([*TENANTS, "x" * 256, "🎬" * 120])


def test_a_refused_room_adds_no_tenant(store: Store) -> None:
    store.rooms.add(a_room())
    with pytest.raises(MeetingInUse):
        store.rooms.add(a_room(tenant_id="tenant_2"))
    assert store.tenants.get_all() == {"tenant_1": None}


def test_the_time_of_an_audit_survives_rooms_that_are_added_later(store: Store) -> None:
    store.rooms.add(a_room())
    later = NOON + timedelta(days=7)
    for at in (NOON, later):
        store.tenants.note_audit("tenant_1", at=at)
    store.tenants.note_audit("has only files", at=NOON)
    store.rooms.add(a_room(id="room_2", meeting_id="meeting_2"))
    assert store.tenants.get_all() == {"tenant_1": later, "has only files": NOON}


def test_a_finding_is_stored_until_it_is_removed(store: Store) -> None:
    long = "r2:" + "k" * 1024
    store.findings.add("a", ["one", long], at=NOON)
    store.findings.add("a#SUSPECTS", ["theirs"], at=NOON)
    assert store.findings.get_all("a") == {"one": NOON, long: NOON}
    store.findings.remove("a", ["one", "never seen"])
    assert store.findings.get_all("a") == {long: NOON}
    assert store.findings.get_all("a#SUSPECTS") == {"theirs": NOON}


# ---------------------------------------------------------------- the lease


def test_acquiring_the_lease_returns_the_room_as_it_is_now(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    store.rooms.save(a_room(), a_room(name="New", version=2))
    room = store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    assert room == a_room(name="New", version=2, lease_nonce="n", lease_until=now + timedelta(seconds=60))


def test_a_lease_keeps_others_out_until_its_very_end(store: Store, now: datetime) -> None:
    until = now + timedelta(seconds=60)
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="first", now=now, until=until)
    for moment in (now, until - timedelta(seconds=1)):
        with pytest.raises(RoomAlreadyRecording) as refusal:
            store.rooms.acquire_lock("tenant_1", "room_1", nonce="second", now=moment, until=until)
        assert refusal.value.blocker is None
    assert store.rooms.get("tenant_1", "room_1").lease_nonce == "first"
    room = store.rooms.acquire_lock(
        "tenant_1", "room_1", nonce="second", now=until, until=until + timedelta(seconds=60)
    )
    assert room.lease_nonce == "second"


def test_a_repeated_call_with_the_same_nonce_holds_the_lease(store: Store, now: datetime) -> None:
    until = now + timedelta(seconds=60)
    store.rooms.add(a_room())
    for _ in range(2):
        room = store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=until)
        assert (room.lease_nonce, room.lease_until) == ("n", until)


def test_only_its_holder_releases_a_lease(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    store.rooms.release_lock("tenant_1", "room_1", nonce="other")
    assert store.rooms.get("tenant_1", "room_1").lease_nonce == "n"
    store.rooms.release_lock("tenant_1", "room_1", nonce="n")
    assert store.rooms.get("tenant_1", "room_1") == a_room()
    store.rooms.release_lock("tenant_1", "room_1", nonce="n")
    store.rooms.release_lock("tenant_1", "no_such_room", nonce="n")
    with pytest.raises(RoomNotFound):
        store.rooms.get("tenant_1", "no_such_room")


def test_a_lease_refused_by_a_recording_names_it(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    store.recordings.add(a_recording(), lease_nonce=None)
    with pytest.raises(RoomAlreadyRecording) as refusal:
        store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    assert refusal.value.blocker == a_recording()


def test_one_call_holds_the_creation_lock(store: Store, now: datetime) -> None:
    until = now + timedelta(seconds=60)
    assert store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="first", now=now, until=until) is None
    with pytest.raises(Throttled):
        store.rooms.acquire_creation_lock(
            "tenant_1", "room_1", nonce="second", now=until - timedelta(seconds=1), until=until
        )
    assert store.rooms.acquire_creation_lock("tenant_2", "room_1", nonce="theirs", now=now, until=until) is None
    assert store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="second", now=until, until=until) is None


def test_a_meeting_created_under_an_earlier_lock_is_returned_to_the_next_call(store: Store, now: datetime) -> None:
    until = now + timedelta(seconds=60)
    store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="first", now=now, until=until)
    store.rooms.note_meeting("tenant_1", "room_1", nonce="other", meeting_id="not theirs to note")
    store.rooms.note_meeting("tenant_1", "room_1", nonce="first", meeting_id="meeting_1")
    for moment in (now, until + timedelta(hours=1)):
        assert (
            store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="second", now=moment, until=until)
            == "meeting_1"
        )
    store.rooms.add(a_room())
    assert store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="second", now=now, until=until) is None


def test_only_its_holder_releases_a_creation_lock(store: Store, now: datetime) -> None:
    until = now + timedelta(seconds=60)
    store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="first", now=now, until=until)
    store.rooms.release_creation_lock("tenant_1", "room_1", nonce="other")
    with pytest.raises(Throttled):
        store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="second", now=now, until=until)
    store.rooms.release_creation_lock("tenant_1", "room_1", nonce="first")
    assert store.rooms.acquire_creation_lock("tenant_1", "room_1", nonce="second", now=now, until=until) is None


# ---------------------------------------------------------------- recordings


@pytest.mark.parametrize("status", Status)
def test_a_recording_is_read_as_it_was_added(store: Store, status: Status) -> None:
    store.rooms.add(a_room())
    recording = a_recording(status=status, partial=True, attempt=3, room_name="Zoë 🎬")
    store.recordings.add(recording, lease_nonce=None)
    assert store.recordings.get("tenant_1", recording.id) == recording
    assert store.recordings.find_by_cloudflare_recording_id("capture_1") == recording
    assert store.recordings.page("tenant_1", limit=5, offset=0).items == [ListedRecording.of(recording)]
    assert_counts(store, recording)


@pytest.mark.parametrize("recording_id", ["rec_x", "", "x" * 1025, "\ud800"])
def test_an_unknown_recording_is_not_found(store: Store, recording_id: str) -> None:
    with pytest.raises(RecordingNotFound):
        store.recordings.get("tenant_1", recording_id)
    assert store.recordings.find_by_cloudflare_recording_id("capture_1") is None


def test_a_running_recording_locks_the_room_and_ends_the_lease(store: Store, now: datetime) -> None:
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    store.recordings.add(a_recording(), lease_nonce="n")
    assert store.rooms.get("tenant_1", "room_1") == a_room(active_recording_id=a_recording().id)


def test_an_expired_lease_still_serves_if_no_other_call_took_it(store: Store, now: datetime) -> None:
    past = now - timedelta(hours=1)
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=past, until=past + timedelta(seconds=60))
    store.recordings.add(a_recording(), lease_nonce="n")
    assert store.rooms.get("tenant_1", "room_1").active_recording_id == a_recording().id


@pytest.mark.parametrize("nonce", ["other", None])
def test_a_recording_cannot_lock_a_room_that_another_start_holds(store: Store, nonce: str | None) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now, until=now + timedelta(seconds=60))
    with pytest.raises(RoomAlreadyRecording):
        store.recordings.add(a_recording(), lease_nonce=nonce)
    assert store.recordings.find_by_cloudflare_recording_id("capture_1") is None
    assert store.rooms.get("tenant_1", "room_1").lease_nonce == "n"
    assert_counts(store)


def test_without_nonce_an_expired_lease_is_no_obstacle(store: Store, now: datetime) -> None:
    past = now - timedelta(seconds=90)
    store.rooms.add(a_room())
    store.rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=past, until=past + timedelta(seconds=60))
    store.recordings.add(a_recording(), lease_nonce=None)
    assert store.rooms.get("tenant_1", "room_1") == a_room(active_recording_id=a_recording().id)


def test_a_nonce_without_a_lease_takes_nothing(store: Store) -> None:
    store.rooms.add(a_room())
    with pytest.raises(RoomAlreadyRecording):
        store.recordings.add(a_recording(), lease_nonce="n")
    assert_counts(store)


def test_a_room_holds_one_recording(store: Store) -> None:
    store.rooms.add(a_room())
    store.recordings.add(a_recording(), lease_nonce=None)
    with pytest.raises(RoomAlreadyRecording) as refusal:
        store.recordings.add(a_recording(id="rec_02", cloudflare_recording_id="capture_2"), lease_nonce=None)
    assert refusal.value.blocker == a_recording()
    assert_counts(store, a_recording())


def test_a_recording_needs_its_room(store: Store) -> None:
    with pytest.raises(RoomNotFound):
        store.recordings.add(a_recording(), lease_nonce=None)
    assert_counts(store)


def test_an_ended_recording_leaves_the_room_as_it_is(store: Store) -> None:
    store.rooms.add(a_room())
    store.recordings.add(a_recording(), lease_nonce=None)
    store.recordings.add(ended(id="rec_02", cloudflare_recording_id="capture_2"), lease_nonce=None)
    assert store.rooms.get("tenant_1", "room_1").active_recording_id == a_recording().id


@pytest.mark.parametrize("tenant", ["tenant_1", "tenant_2"])
@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING])
def test_a_cloudflare_recording_is_imported_once(store: Store, tenant: str, status: Status) -> None:
    store.rooms.add(a_room())
    store.rooms.add(a_room(tenant_id="tenant_2", id="room_2", meeting_id="meeting_2"))
    first = a_recording(status=status)
    store.recordings.add(first, lease_nonce=None)
    again = a_recording(id="rec_02", tenant_id=tenant, room_id="room_2", status=status)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.add(again, lease_nonce=None)
    assert store.recordings.find_by_cloudflare_recording_id("capture_1") == first
    assert store.rooms.get("tenant_2", "room_2").active_recording_id is None
    assert_counts(store, first)


def test_an_imported_cloudflare_recording_is_reported_before_an_occupied_room(store: Store) -> None:
    store.rooms.add(a_room())
    store.recordings.add(a_recording(), lease_nonce=None)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.add(a_recording(id="rec_02"), lease_nonce=None)


@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING])
def test_an_id_is_given_once(store: Store, status: Status) -> None:
    store.rooms.add(a_room())
    first = a_recording(status=status)
    store.recordings.add(first, lease_nonce=None)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.add(replace(first, cloudflare_recording_id="capture_2"), lease_nonce=None)
    assert store.recordings.find_by_cloudflare_recording_id("capture_2") is None
    assert_counts(store, first)


def test_two_recordings_without_cloudflare_id_are_two(store: Store) -> None:
    first, second = ended(cloudflare_recording_id=None), ended(id="rec_02", cloudflare_recording_id=None)
    store.recordings.add(first, lease_nonce=None)
    store.recordings.add(second, lease_nonce=None)
    assert_counts(store, first, second)


def test_a_recording_that_stops_frees_its_room(store: Store) -> None:
    store.rooms.add(a_room())
    before = a_recording()
    store.recordings.add(before, lease_nonce=None)
    after = before.stopped(at=NOON + timedelta(minutes=5), cause="api_stop")
    after = store.recordings.save(before, after)
    assert store.recordings.get("tenant_1", before.id) == after
    assert store.rooms.get("tenant_1", "room_1") == a_room()
    assert_counts(store, after)


def test_a_recording_whose_room_holds_another_frees_nothing(store: Store) -> None:
    store.rooms.add(a_room())
    before = a_recording()
    store.recordings.add(before, lease_nonce=None)
    stopped = before.stopped(at=NOON, cause="x")
    stopped = store.recordings.save(before, stopped)
    other = a_recording(id="rec_02", cloudflare_recording_id="capture_2")
    store.recordings.add(other, lease_nonce=None)
    # Its late end, read before the room moved on.
    with pytest.raises(ConcurrentUpdate):
        store.recordings.save(before, before.ended(at=NOON, cause="late"))
    assert store.rooms.get("tenant_1", "room_1").active_recording_id == "rec_02"
    assert_counts(store, stopped, other)


def test_the_end_of_a_recording_is_stored_though_its_room_holds_another() -> None:
    before, other = a_recording(), a_recording(id="rec_02")
    with a_table():
        rooms, recordings = DynamoRooms(), DynamoRecordings()
        rooms.add(a_room())
        recordings.add(before, lease_nonce=None)
        client.update_item(
            TableName=TABLE,
            Key=item_key("T#tenant_1#ROOM", "room_1"),
            UpdateExpression="SET active_recording_id = :other",
            ExpressionAttributeValues={":other": {"S": other.id}},
        )
        after = before.stopped(at=NOON, cause="x")
        after = recordings.save(before, after)
        with pytest.raises(ConcurrentUpdate):
            after = recordings.save(before, after)
        assert recordings.get("tenant_1", before.id) == after
        assert rooms.get("tenant_1", "room_1").active_recording_id == other.id
        assert recordings.page("tenant_1", Filter(statuses=frozenset({Status.PROCESSING})), limit=1).total == 1


def test_saving_the_same_writes_nothing(store: Store) -> None:
    never_added = a_recording()
    never_added = store.recordings.save(never_added, never_added)
    assert_counts(store)


def test_a_stale_recording_is_not_saved(store: Store) -> None:
    store.rooms.add(a_room())
    before = a_recording()
    store.recordings.add(before, lease_nonce=None)
    first = before.stopped(at=NOON, cause="first")
    first = store.recordings.save(before, first)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.save(before, before.failed(Failure("x", "y"), at=NOON, cause="second"))
    assert store.recordings.get("tenant_1", before.id) == first
    assert_counts(store, first)


def test_a_stale_recording_is_not_saved_in_the_status_that_it_still_has(store: Store) -> None:
    """Two calls that leave the status as it is: the later one has not seen what the first one stored."""
    recording = ended()
    store.recordings.add(recording, lease_nonce=None)
    first = recording.recovered(at=NOON)
    first = store.recordings.save(recording, first)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.save(recording, recording.recovered(at=NOON + timedelta(minutes=1)))
    assert store.recordings.get_including_deleted(recording.tenant_id, recording.id) == first


def test_a_save_needs_the_status_it_leaves_as_well_as_the_version(store: Store) -> None:
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    pretended = replace(stored, status=Status.READY)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.save(pretended, replace(pretended, version=9))
    assert store.recordings.get("tenant_1", stored.id) == stored


def test_a_save_needs_the_version_as_well_as_the_status_it_leaves(store: Store) -> None:
    # Every one of these leaves and enters the same status: only the version tells that another write came first.
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    first = stored.recovered(at=NOON)
    first = store.recordings.save(stored, first)
    for late in (stored.recovered(at=NOON + timedelta(seconds=1)), stored.deleted(at=NOON)):
        with pytest.raises(ConcurrentUpdate):
            late = store.recordings.save(stored, late)
    # One that claims to be further than what is stored is as wrong.
    ahead = replace(first, version=first.version + 1)
    with pytest.raises(ConcurrentUpdate):
        store.recordings.save(ahead, ahead.recovered(at=NOON))
    assert store.recordings.get("tenant_1", stored.id) == first
    assert_counts(store, first)


def test_a_recording_that_is_not_there_is_not_saved(store: Store) -> None:
    before = ended()
    with pytest.raises(ConcurrentUpdate):
        store.recordings.save(before, before.failed(Failure("x", "y"), at=NOON, cause="z"))
    with pytest.raises(RecordingNotFound):
        store.recordings.get("tenant_1", before.id)
    assert_counts(store)


def test_every_fact_and_the_tallies_survive_each_change(store: Store) -> None:
    store.rooms.add(a_room())
    one = a_recording()
    store.recordings.add(one, lease_nonce=None)
    steps: list[Callable[[Recording], Recording]] = [
        lambda r: r.stopped(at=NOON + timedelta(seconds=90), cause="api_stop"),
        lambda r: r.stored(a_file(size_bytes=7 * 2**40), duration_seconds=90, partial=True, at=NOON, cause="verified"),
    ]
    for step in steps:
        after = step(one)
        after = store.recordings.save(one, after)
        one = after
        assert store.recordings.get("tenant_1", one.id) == one
        assert_counts(store, one)


def test_progress_is_noted_without_a_new_version(store: Store) -> None:
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    progress = Progress(
        step="copying", attempt=1, bytes_done=5, bytes_total=2**40, next_step_due=NOON, stuck_after=NOON
    )
    store.recordings.note_progress(stored, progress, stalled=True)
    noted = store.recordings.get("tenant_1", stored.id)
    assert noted == replace(stored, progress=progress, stalled=True)
    store.recordings.note_progress(stored, None)
    assert store.recordings.get("tenant_1", stored.id) == stored
    assert_counts(store, stored)


def test_progress_of_a_recording_that_moved_on_is_not_noted(store: Store) -> None:
    before = ended()
    store.recordings.add(before, lease_nonce=None)
    after = before.failed(Failure("x", "y"), at=NOON, cause="z")
    after = store.recordings.save(before, after)
    store.recordings.note_progress(before, Progress(step="copying", attempt=1), stalled=True)
    store.recordings.note_progress(replace(after, attempt=2), Progress(step="copying", attempt=2))
    store.recordings.note_progress(ended(id="rec_none"), Progress(step="copying", attempt=1))
    assert store.recordings.get("tenant_1", before.id) == after
    with pytest.raises(RecordingNotFound):
        store.recordings.get("tenant_1", "rec_none")


def test_progress_of_a_replaced_archive_move_is_not_noted(store: Store) -> None:
    first = a_recording(status=Status.ARCHIVED, archive=Archive(state="moving"), archive_attempt=1)
    store.recordings.add(first, lease_nonce=None)
    second = replace(first, archive_attempt=2, version=first.version + 1)
    second = store.recordings.save(first, second)
    store.recordings.note_progress(first, Progress(step="copying", attempt=1))
    assert store.recordings.get("tenant_1", first.id) == second


def test_attempts_and_the_held_file_are_stored(store: Store) -> None:
    held = HeldFile(a_file(size_bytes=2**40, crc32="0a", sha256="0b", etag="0c"), 7)
    for number, kept in enumerate((held, replace(held, duration_seconds=None))):
        stored = ended(
            id=f"rec_0{number}", cloudflare_recording_id=f"capture_{number}", automatic_attempts=5, held=kept
        )
        store.recordings.add(stored, lease_nonce=None)
        assert store.recordings.get("tenant_1", stored.id) == stored


def test_a_recording_of_the_first_release_has_made_one_attempt() -> None:
    with a_table():
        stored = ended()
        recordings = DynamoRecordings()
        recordings.add(stored, lease_nonce=None)
        client.update_item(
            TableName=TABLE,
            Key={"pk": {"S": "T#tenant_1#REC"}, "sk": {"S": stored.id}},
            UpdateExpression="REMOVE automatic_attempts, held, archive_attempt",
        )
        assert recordings.get("tenant_1", stored.id) == stored
        recordings.note_progress(stored, Progress(step="copying", attempt=1))
        assert recordings.get("tenant_1", stored.id).progress is not None


def test_a_missing_file_is_noted_and_taken_back_without_a_new_version(store: Store) -> None:
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    store.recordings.note_missing(stored, NOON)
    noted = store.recordings.get("tenant_1", stored.id)
    assert noted == replace(stored, missing_since=NOON)
    # Who saw the recording before that adds nothing: the first time counts.
    store.recordings.note_missing(stored, NOON + timedelta(hours=1))
    assert store.recordings.get("tenant_1", stored.id) == noted
    store.recordings.note_missing(noted, None)
    assert store.recordings.get("tenant_1", stored.id) == stored
    store.recordings.note_missing(noted, NOON)
    assert store.recordings.get("tenant_1", stored.id) == stored
    assert_counts(store, stored)


def test_a_missing_file_of_a_recording_of_the_first_release_is_noted() -> None:
    with a_table():
        stored = ended()
        recordings = DynamoRecordings()
        recordings.add(stored, lease_nonce=None)
        client.update_item(
            TableName=TABLE,
            Key={"pk": {"S": "T#tenant_1#REC"}, "sk": {"S": stored.id}},
            UpdateExpression="REMOVE missing_since",
        )
        assert recordings.get("tenant_1", stored.id) == stored
        recordings.note_missing(stored, NOON)
        assert recordings.get("tenant_1", stored.id) == replace(stored, missing_since=NOON)


def test_a_missing_file_of_a_recording_that_moved_on_is_not_noted(store: Store) -> None:
    before = a_recording()
    store.rooms.add(a_room())
    store.recordings.add(before, lease_nonce=None)
    store.recordings.note_missing(before, NOON)
    noted = store.recordings.get("tenant_1", before.id)
    after = noted.ended(at=NOON, cause="capture_ended")
    assert after.missing_since is None
    after = store.recordings.save(noted, after)
    store.recordings.note_missing(noted, None)
    store.recordings.note_missing(before, NOON)
    store.recordings.note_missing(ended(id="rec_none"), NOON)
    assert store.recordings.get("tenant_1", before.id) == after
    with pytest.raises(RecordingNotFound):
        store.recordings.get("tenant_1", "rec_none")


def test_a_missing_file_of_a_deleted_recording_is_noted(store: Store) -> None:
    before = ended()
    store.recordings.add(before, lease_nonce=None)
    gone = before.deleted(at=NOON)
    gone = store.recordings.save(before, gone)
    store.recordings.note_missing(gone, NOON)
    assert store.recordings.get_including_deleted("tenant_1", before.id) == replace(gone, missing_since=NOON)


def test_copied_bytes_are_added_up_and_change_nothing_else(store: Store) -> None:
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    store.recordings.note_progress(stored, Progress(step="copying", attempt=1, bytes_done=0, bytes_total=100))
    for _ in range(8):
        store.recordings.add_progress("tenant_1", stored.id, attempt=1, copied=5)
    progress = Progress(step="copying", attempt=1, bytes_done=40, bytes_total=100)
    assert store.recordings.get("tenant_1", stored.id) == replace(stored, progress=progress)


def test_copied_bytes_never_exceed_the_total(store: Store) -> None:
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    store.recordings.note_progress(stored, Progress(step="copying", attempt=1, bytes_done=90, bytes_total=100))
    for copied in (11, 10, 1):
        store.recordings.add_progress("tenant_1", stored.id, attempt=1, copied=copied)
    progress = Progress(step="copying", attempt=1, bytes_done=100, bytes_total=100)
    assert store.recordings.get("tenant_1", stored.id) == replace(stored, progress=progress)


def test_bytes_of_a_copy_that_has_ended_are_not_added(store: Store) -> None:
    stored = ended()
    store.recordings.add(stored, lease_nonce=None)
    store.recordings.add_progress("tenant_1", stored.id, attempt=1, copied=5)
    store.recordings.note_progress(stored, Progress(step="waiting", attempt=1))
    store.recordings.add_progress("tenant_1", stored.id, attempt=1, copied=5)
    progress = Progress(step="copying", attempt=1, bytes_done=7)
    store.recordings.note_progress(stored, progress)
    store.recordings.add_progress("tenant_1", stored.id, attempt=2, copied=5)
    store.recordings.add_progress("tenant_2", stored.id, attempt=1, copied=5)
    store.recordings.add_progress("tenant_1", "rec_none", attempt=1, copied=5)
    assert store.recordings.get("tenant_1", stored.id) == replace(stored, progress=progress)


def test_the_last_stored_task_token_is_returned_once(store: Store) -> None:
    first, second = ended(), ended(id="rec_02", cloudflare_recording_id="capture_2")
    assert store.recordings.pop_task_token(first) is None
    store.recordings.store_task_token(first, "old")
    store.recordings.store_task_token(first, "new")
    store.recordings.store_task_token(second, "other")
    assert store.recordings.pop_task_token(first) == "new"
    assert store.recordings.pop_task_token(first) is None
    assert store.recordings.pop_task_token(second) == "other"


def test_the_task_token_of_a_newer_attempt_stays(store: Store) -> None:
    old = ended()
    new = replace(old, attempt=2)
    store.recordings.store_task_token(new, "new")
    store.recordings.store_task_token(old, "old")
    assert store.recordings.pop_task_token(old, only="old") is None
    assert store.recordings.pop_task_token(new, only="new") == "new"
    assert store.recordings.pop_task_token(new, only="new") is None


# ---------------------------------------------------------------- pages


def test_every_page_is_a_slice_of_the_whole_list(paged: Store) -> None:
    new_id = CountingIds()
    hours = [0, 0, 1, 23, 24, 24, 47, 71, 96, 97, 97]  # two days are full, one is empty, seconds are shared
    made = [
        ended(id=new_id(at), cloudflare_recording_id=f"capture_{n}", created_at=at)
        for n, at in enumerate(datetime(2026, 1, 30, tzinfo=UTC) + timedelta(hours=h) for h in hours)
    ]
    for one in made:
        paged.recordings.add(one, lease_nonce=None)
    paged.recordings.add(
        ended(id=new_id(NOON), tenant_id="tenant_2", cloudflare_recording_id="other"), lease_nonce=None
    )
    newest_first = sorted(made, key=lambda one: (one.created_at, one.id), reverse=True)
    for limit in (1, 2, 3, 5, 11, 100):
        for offset in range(len(made) + 3):
            page = paged.recordings.page("tenant_1", limit=limit, offset=offset)
            assert page.total == len(made)
            assert [one.id for one in page.items] == [one.id for one in newest_first[offset : offset + limit]]


def a_mixed_list(store: Store) -> list[Recording]:
    """Recordings of two rooms in every status over five days, newest first."""
    new_id, made = CountingIds(), []
    for n, hours in enumerate([0, 0, 1, 23, 24, 47, 71, 71, 96, 97]):
        at = datetime(2026, 1, 30, tzinfo=UTC) + timedelta(hours=hours)
        status = list(Status)[1:][n % 4]
        room = f"room_{n % 2 + 1}"
        made.append(
            a_recording(id=new_id(at), cloudflare_recording_id=f"c{n}", created_at=at, status=status, room_id=room)
        )
        store.recordings.add(made[-1], lease_nonce=None)
    return made[::-1]


MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)
FILTERS = {
    "all": Filter(),
    "room": Filter(room_id="room_1"),
    "no such room": Filter(room_id="room_3"),
    "hostile room": Filter(room_id="room_1#x"),
    "status": Filter(statuses=frozenset({Status.READY})),
    "statuses": Filter(statuses=frozenset({Status.PROCESSING, Status.FAILED})),
    "no such status": Filter(statuses=frozenset({Status.RECORDING})),
    "after": Filter(created_after=MIDNIGHT),
    "after with parts of a second": Filter(created_after=MIDNIGHT - timedelta(microseconds=1)),
    "before": Filter(created_before=MIDNIGHT),
    "before with parts of a second": Filter(created_before=MIDNIGHT + timedelta(microseconds=1)),
    "in the middle of days": Filter(
        created_after=MIDNIGHT - timedelta(hours=1), created_before=MIDNIGHT + timedelta(hours=23)
    ),
    "nothing between": Filter(created_after=MIDNIGHT, created_before=MIDNIGHT),
    "the wrong way round": Filter(created_after=MIDNIGHT, created_before=MIDNIGHT - timedelta(days=1)),
    "everything at once": Filter(
        room_id="room_2", statuses=frozenset({Status.READY, Status.FAILED}), created_after=MIDNIGHT - timedelta(hours=2)
    ),
}


def wanted_of(made: list[Recording], only: Filter) -> list[str]:
    return [
        one.id
        for one in made
        if (only.room_id is None or one.room_id == only.room_id)
        and (not only.statuses or one.status in only.statuses)
        and (only.created_after is None or one.created_at > only.created_after)
        and (only.created_before is None or one.created_at < only.created_before)
    ]


def test_a_filtered_page_is_a_slice_of_the_filtered_list(paged: Store) -> None:
    made = a_mixed_list(paged)
    for name, only in FILTERS.items():
        wanted = wanted_of(made, only)
        for limit, offset in [(1, 0), (2, 1), (3, 2), (100, 0), (1, 3), (2, len(wanted))]:
            page = paged.recordings.page("tenant_1", only, limit=limit, offset=offset)
            assert [one.id for one in page.items] == wanted[offset : offset + limit], (name, limit, offset)
            assert page.total == len(wanted), name
            assert (page.cursor is not None) == (offset + limit < len(wanted)), (name, limit, offset)


def test_a_cursor_walks_every_filtered_list_exactly_once(paged: Store) -> None:
    made = a_mixed_list(paged)
    for name, only in FILTERS.items():
        for limit in (1, 3):
            walked: list[str] = []
            cursor = None
            while True:
                page = paged.recordings.page("tenant_1", only, limit=limit, cursor=cursor)
                walked += [one.id for one in page.items]
                assert page.total == len(wanted_of(made, only))
                if (cursor := page.cursor) is None:
                    break
            assert walked == wanted_of(made, only), (name, limit)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "a",
        "%%%%",
        "ä",
        "=",
        base64.urlsafe_b64encode(b"rec_").decode(),
        base64.urlsafe_b64encode(b"~").decode(),
        base64.urlsafe_b64encode(b"rec_7ZZZZZZZZZZZZZZZZZZZZZZZZZ").decode(),
        base64.urlsafe_b64encode(b"recordings/rec_76EZ91ZQ000000000000000000").decode(),
        base64.urlsafe_b64encode(b"rooms/rec_01KE6V8Q800000000000000000").decode(),
    ],
)
def test_a_forged_cursor_of_recordings_is_refused(store: Store, cursor: str) -> None:
    a_mixed_list(store)
    with pytest.raises(InvalidCursor):
        store.recordings.page("tenant_1", limit=5, cursor=cursor)


# ---------------------------------------------------------------- deleted recordings


def test_a_deleted_recording_leaves_every_page_count_and_lookup_and_comes_back(store: Store) -> None:
    made = a_mixed_list(store)
    before = made[3]
    gone = before.deleted(at=NOON)
    gone = store.recordings.save(before, gone)
    rest = [one for one in made if one.id != before.id]
    with pytest.raises(RecordingNotFound):
        store.recordings.get("tenant_1", before.id)
    assert store.recordings.get_including_deleted("tenant_1", before.id) == gone
    assert store.recordings.find_by_cloudflare_recording_id(before.cloudflare_recording_id or "") == gone
    for only in (Filter(), Filter(room_id=before.room_id), Filter(statuses=frozenset({before.status}))):
        page = store.recordings.page("tenant_1", only, limit=100)
        assert [one.id for one in page.items] == wanted_of(rest, only)
        assert page.total == len(page.items)
    assert_counts(store, *rest)
    back = gone.undeleted()
    back = store.recordings.save(gone, back)
    assert store.recordings.get("tenant_1", before.id) == back
    for only in (Filter(), Filter(room_id=before.room_id)):
        assert [one.id for one in store.recordings.page("tenant_1", only, limit=100).items] == wanted_of(made, only)
    assert_counts(store, *rest, back)


def test_a_recording_read_before_its_deletion_is_not_saved_after_it(store: Store) -> None:
    before = ended()
    store.recordings.add(before, lease_nonce=None)
    gone = before.deleted(at=NOON)
    gone = store.recordings.save(before, gone)
    for late in (before.failed(Failure("x", "y"), at=NOON, cause="z"), before.deleted(at=NOON)):
        with pytest.raises(ConcurrentUpdate):
            late = store.recordings.save(before, late)
    store.recordings.note_progress(before, Progress(step="copying", attempt=1))
    assert store.recordings.get_including_deleted("tenant_1", before.id) == gone
    assert_counts(store)


def test_a_deleted_recording_is_put_back_unless_it_exists(store: Store) -> None:
    for gone in (ended(deleted_at=NOON), a_recording(id="rec_02", status=Status.READY, deleted_at=NOON)):
        store.recordings.put_back(gone)
        store.recordings.put_back(replace(gone, version=99))
        assert store.recordings.get_including_deleted("tenant_1", gone.id) == gone
    assert [one.id for one in store.recordings.list_unfinished()] == [ended().id]
    assert_counts(store)


def test_a_deleted_recording_is_worked_on_to_its_end_and_stays_deleted(store: Store) -> None:
    before = ended()
    store.recordings.add(before, lease_nonce=None)
    gone = before.deleted(at=NOON)
    gone = store.recordings.save(before, gone)
    store.recordings.note_progress(gone, Progress(step="copying", attempt=1))
    noted = store.recordings.get_including_deleted("tenant_1", before.id)
    assert noted.progress == Progress(step="copying", attempt=1)
    ready = noted.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
    ready = store.recordings.save(noted, ready)
    assert store.recordings.get_including_deleted("tenant_1", before.id) == ready
    assert_counts(store)
    back = ready.undeleted()
    back = store.recordings.save(ready, back)
    assert_counts(store, back)


def test_of_many_cloudflare_recordings_the_imported_ones_are_found(store: Store) -> None:
    made = a_mixed_list(store)
    gone = made[0].deleted(at=NOON)
    gone = store.recordings.save(made[0], gone)
    known = {one.cloudflare_recording_id: one for one in [gone, *made[1:]]}
    asked = [*known, "unknown", "", "x" * 2000, *known]
    assert store.recordings.find_by_cloudflare_recording_ids([one for one in asked if one is not None]) == known
    assert store.recordings.find_by_cloudflare_recording_ids([]) == {}


def test_a_purged_recording_is_known_by_its_link_alone() -> None:
    memory = Memory()
    recordings = MemoryRecordings(memory)
    recordings.add(ended(), lease_nonce=None)
    memory.purge(ended())
    assert recordings.find_by_cloudflare_recording_ids(["capture_1", "x"]) == {"capture_1": None}
    with a_table():
        real = DynamoRecordings()
        real.add(ended(), lease_nonce=None)
        client.delete_item(TableName=TABLE, Key=item_key("T#tenant_1#REC", ended().id))
        assert real.find_by_cloudflare_recording_ids(["capture_1", "x"]) == {"capture_1": None}
        assert real.find_by_cloudflare_recording_id("capture_1") is None
        assert list(real.list_unfinished()) == []


# ---------------------------------------------------------------- unfinished recordings


def test_unfinished_recordings_of_all_tenants_are_listed(store: Store) -> None:
    store.rooms.add(a_room())
    new_id, opened = CountingIds(), []
    for n, status in enumerate(Status):
        one = a_recording(
            id=new_id(NOON),
            cloudflare_recording_id=f"c{n}",
            status=status,
            tenant_id="tenant_1" if n < 2 else "tenant_2",
        )
        store.recordings.add(one, lease_nonce=None)
        opened += [one] if one.unfinished else []
    assert list(store.recordings.list_unfinished()) == opened[::-1]
    assert {one.status for one in opened} == {Status.RECORDING, Status.PROCESSING}


def test_the_recordings_of_a_range_of_rooms_are_listed(store: Store) -> None:
    rooms, new_id = ("a", "a-b", "a:b", "a.b", "a1", "b", "b2"), CountingIds()
    for number, room in enumerate(rooms):
        one = a_recording(id=new_id(NOON), room_id=room, cloudflare_recording_id=f"c{number}", status=Status.READY)
        store.recordings.add(one, lease_nonce=None)
        if number % 2:
            store.recordings.save(one, one.deleted(at=NOON))
    ends = [None, "a%3Ab/", "a-b/", "a.b/", "a/", "a1/", "b/", None]
    for low, high in itertools.combinations_with_replacement(ends, 2):
        some = RoomRange(low, high)
        found = {one.room_id for one in store.recordings.list_all("tenant_1", some)}
        assert found == {room for room in rooms if some.contains(room)}
    assert {one.room_id for one in store.recordings.list_all("tenant_1")} == set(rooms)


def test_many_unfinished_recordings_are_read_in_few_requests() -> None:
    new_id = CountingIds()
    # One more than DynamoDB returns in one BatchGetItem.
    made = [ended(id=new_id(NOON)) for _ in range(101)]
    with a_table():
        for some in itertools.batched(made, 12, strict=False):
            stored = [item.from_domain(one).serialize() for one in some for item in (RecordingItem, UnfinishedItem)]
            client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in stored]})
        with recorded() as requests:
            found = [recording.id for recording in DynamoRecordings().list_unfinished()]
    assert found == [one.id for one in made[::-1]]
    assert requests == ["Query", "BatchGetItem", "BatchGetItem"]


def test_a_recording_is_unfinished_until_its_end_and_again_while_it_moves(store: Store) -> None:
    store.rooms.add(a_room())
    one = a_recording()
    store.recordings.add(one, lease_nonce=None)

    def go(after: Recording) -> list[Recording]:
        nonlocal one
        after = store.recordings.save(one, after)
        one = store.recordings.get_including_deleted(after.tenant_id, after.id)
        assert one == after
        return list(store.recordings.list_unfinished())

    assert list(store.recordings.list_unfinished()) == [one]
    assert go(one.stopped(at=NOON, cause="x")) == [one]
    # Deleted or not, the work on it goes on.
    assert go(one.deleted(at=NOON)) == [one]
    assert go(one.recovered(at=NOON)) == [one]
    assert go(one.undeleted()) == [one]
    assert go(one.stored(a_file(), duration_seconds=1, partial=False, at=NOON, cause="x")) == []
    assert go(one.archiving(at=NOON)) == [one]
    assert go(one.deleted(at=NOON)) == [one]
    assert go(one.archive_abandoned(Failure("x", "y"), at=NOON)) == []
    assert go(one.undeleted()) == []
    assert go(one.archiving(at=NOON)) == [one]
    # R2 is to be emptied, and then Glacier to be asked for a copy.
    assert go(one.archive_completed(a_file(store="s3"), storage_class="GLACIER", at=NOON)) == [one]
    assert go(one.source_emptied()) == []
    assert go(one.restoring(tier="bulk", days=2, expected_at=NOON, at=NOON)) == [one]
    assert one.archive is not None
    assert go(one.restore_requested(one.archive, until=None)) == []
    assert go(one.restored(until=NOON)) == []
    assert_counts(store, one)


def test_a_recording_is_found_with_every_fact_deleted_or_not(store: Store) -> None:
    one = a_recording(
        status=Status.READY,
        file=a_file(crc32="0badcafe", sha256="ab", etag="cd-2"),
        attempt=3,
        recovered_at=NOON,
        delivery_key="delivered/a",
        partial=True,
        archive_error=Failure("archive_failed", "No."),
        archive_attempt=2,
    )
    store.recordings.add(one, lease_nonce=None)
    for change in (one.archiving(at=NOON), one.deleted(at=NOON)):
        assert store.recordings.get_including_deleted("tenant_1", one.id) == one
        change = store.recordings.save(one, change)
        assert store.recordings.get_including_deleted("tenant_1", one.id) == change
        store.recordings.save(change, replace(one, version=change.version + 1))
        one = store.recordings.get_including_deleted("tenant_1", one.id)
    for tenant, recording in (("tenant_2", one.id), ("tenant_1", "rec_x"), ("tenant_1", "")):
        with pytest.raises(RecordingNotFound):
            store.recordings.get_including_deleted(tenant, recording)


def test_deleted_recordings_are_in_no_page_of_any_filter(paged: Store) -> None:
    made = a_mixed_list(paged)
    for one in made[::3]:
        paged.recordings.save(one, one.deleted(at=NOON))
    rest = [one for n, one in enumerate(made) if n % 3]
    for name, only in FILTERS.items():
        wanted = wanted_of(rest, only)
        for limit, offset in [(1, 0), (2, 1), (100, 0)]:
            page = paged.recordings.page("tenant_1", only, limit=limit, offset=offset)
            assert [one.id for one in page.items] == wanted[offset : offset + limit], (name, limit, offset)
            assert page.total == len(wanted), name
    assert_counts(paged, *rest)


@pytest.mark.parametrize("offset", [0, 1, 10**18])
def test_a_tenant_without_recordings_has_an_empty_page(paged: Store, offset: int) -> None:
    page = paged.recordings.page("tenant_1", limit=20, offset=offset)
    assert (list(page.items), page.total) == ([], 0)


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 8])
def test_a_cursor_walks_all_rooms_exactly_once(store: Store, cut: int) -> None:
    ids = ["a", "B", "_x", "room_1", "room_10", "room_2", "z:1"]
    for n, room_id in enumerate(ids):
        store.rooms.add(a_room(id=room_id, meeting_id=f"meeting_{n}"))
    store.rooms.add(a_room(id="c", tenant_id="tenant_2", meeting_id="other"))
    walked: list[str] = []
    cursor = None
    while True:
        page = store.rooms.list("tenant_1", limit=cut, cursor=cursor)
        assert 0 < len(page.items) <= cut
        walked += [room.id for room in page.items]
        if (cursor := page.cursor) is None:
            break
    assert walked == sorted(ids, key=str.encode)


def test_a_cursor_continues_after_a_deleted_room(store: Store) -> None:
    for n in range(3):
        store.rooms.add(a_room(id=f"room_{n}", meeting_id=f"meeting_{n}"))
    cursor = store.rooms.list("tenant_1", limit=2).cursor
    store.rooms.remove(a_room(id="room_1", meeting_id="meeting_1"))
    assert [room.id for room in store.rooms.list("tenant_1", limit=2, cursor=cursor).items] == ["room_2"]


def unnamed_cursor(sort_key: str) -> str:
    return base64.urlsafe_b64encode(sort_key.encode()).decode().rstrip("=")


def test_a_cursor_of_the_first_release_is_still_accepted(paged: Store) -> None:
    for n in range(3):
        paged.rooms.add(a_room(id=f"room_{n}", meeting_id=f"meeting_{n}"))
    newest, *older = a_mixed_list(paged)
    of_rooms, of_recordings = (unnamed_cursor(key) for key in ("room_0", newest.id))
    assert [room.id for room in paged.rooms.list("tenant_1", limit=1, cursor=of_rooms).items] == ["room_1"]
    assert paged.recordings.page("tenant_1", limit=1, cursor=of_recordings).items[0].id == older[0].id


def test_the_cursor_of_one_list_is_refused_by_another(store: Store) -> None:
    for n in range(2):
        store.rooms.add(a_room(id=f"room_{n}", meeting_id=f"meeting_{n}"))
    a_mixed_list(store)
    of_rooms = store.rooms.list("tenant_1", limit=1).cursor
    of_recordings = store.recordings.page("tenant_1", limit=1).cursor
    assert of_rooms
    assert of_recordings
    with pytest.raises(InvalidCursor):
        store.rooms.list("tenant_1", limit=1, cursor=of_recordings)
    with pytest.raises(InvalidCursor):
        store.recordings.page("tenant_1", limit=1, cursor=of_rooms)


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59))),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59))),
    ],
    ids=str,
)
def test_a_filter_by_the_first_or_last_of_times_splits_the_list(paged: Store, at: datetime) -> None:
    made = a_mixed_list(paged)
    after, before = ([] if at.year > 2026 else made), (made if at.year > 2026 else [])
    for only, wanted in ((Filter(created_after=at), after), (Filter(created_before=at), before)):
        assert [one.id for one in paged.recordings.page("tenant_1", only, limit=20).items] == [one.id for one in wanted]


def test_a_filter_that_names_no_possible_room_finds_nothing(paged: Store) -> None:
    a_mixed_list(paged)
    for room_id in ("a#b", "..", "r" * 129, "\x00", "\ud800"):
        page = paged.recordings.page("tenant_1", Filter(room_id=room_id), limit=5)
        assert (list(page.items), page.total, page.cursor) == ([], 0, None)


def test_no_rooms_are_an_empty_page_without_cursor(store: Store) -> None:
    page = store.rooms.list("tenant_1", limit=20)
    assert (list(page.items), page.cursor) == ([], None)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "a",
        "%%%%",
        "ä",
        "////",
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "=",
        "QUJD\n",
        "A" * 1400,
        base64.urlsafe_b64encode(b"no room").decode(),
        base64.urlsafe_b64encode(b"rooms/..").decode(),
        base64.urlsafe_b64encode(b"rooms/").decode(),
        base64.urlsafe_b64encode(b"/room_1").decode(),
        base64.urlsafe_b64encode(b"rec_01KE6V8Q800000000000000000").decode(),
        base64.urlsafe_b64encode(b"rec_7ZZZZZZZZZZZZZZZZZZZZZZZZZ").decode(),
        base64.urlsafe_b64encode(b"recordings/rec_01KE6V8Q800000000000000000").decode(),
    ],
)
def test_a_forged_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        store.rooms.list("tenant_1", limit=20, cursor=cursor)


def test_a_cursor_of_another_tenant_shows_nothing_of_it(store: Store) -> None:
    for n in range(3):
        store.rooms.add(a_room(id=f"room_{n}", meeting_id=f"meeting_{n}", tenant_id="tenant_2"))
    cursor = store.rooms.list("tenant_2", limit=1).cursor
    assert cursor is not None
    assert list(store.rooms.list("tenant_1", limit=20, cursor=cursor).items) == []


# ---------------------------------------------------------------- tenants


def test_tenants_never_meet_whatever_they_are_called(store: Store) -> None:
    new_id, made = CountingIds(), {}
    shared = new_id(NOON)
    for n, tenant in enumerate(TENANTS):
        room = a_room(tenant_id=tenant, meeting_id=f"meeting_{n}", name=f"of {n}")
        store.rooms.add(room)
        made[tenant] = a_recording(
            id=shared, tenant_id=tenant, cloudflare_recording_id=f"capture_{n}", room_name=f"of {n}"
        )
        store.recordings.add(made[tenant], lease_nonce=None)
        store.recordings.store_task_token(made[tenant], f"token {n}")
        assert store.keys.reserve(tenant, "key", fingerprint=f"of {n}", now=NOON) is None
    for n, tenant in enumerate(TENANTS):
        assert [room.name for room in store.rooms.list(tenant, limit=50).items] == [f"of {n}"]
        assert store.rooms.get(tenant, "room_1").tenant_id == tenant
        page = store.recordings.page(tenant, limit=50, offset=0)
        assert (list(page.items), page.total) == ([ListedRecording.of(made[tenant])], 1)
        assert store.recordings.pop_task_token(made[tenant]) == f"token {n}"
    assert_counts(store, *made.values())


# ---------------------------------------------------------------- idempotency keys


def test_a_key_is_reserved_then_in_progress_then_has_a_response(store: Store) -> None:
    assert store.keys.reserve("t", "k", fingerprint="f", now=NOON) is None
    with pytest.raises(RequestInProgress):
        store.keys.reserve("t", "k", fingerprint="f", now=NOON)
    received = {"status": 201, "body": {"deep": [1, None, "é"]}, "headers": {}}
    store.keys.store_response("t", "k", response=received, now=NOON)
    for _ in range(2):
        assert store.keys.reserve("t", "k", fingerprint="f", now=NOON) == received


def test_a_key_of_another_request_is_refused_before_and_after_its_response(store: Store) -> None:
    store.keys.reserve("t", "k", fingerprint="f", now=NOON)
    with pytest.raises(IdempotencyKeyReused):
        store.keys.reserve("t", "k", fingerprint="other", now=NOON)
    store.keys.store_response("t", "k", response={}, now=NOON)
    with pytest.raises(IdempotencyKeyReused):
        store.keys.reserve("t", "k", fingerprint="other", now=NOON)
    assert store.keys.reserve("t", "k", fingerprint="f", now=NOON) == {}


def test_a_released_key_is_free_for_any_request(store: Store) -> None:
    store.keys.reserve("t", "k", fingerprint="f", now=NOON)
    store.keys.release("t", "k")
    assert store.keys.reserve("t", "k", fingerprint="other", now=NOON) is None
    store.keys.release("t", "unknown")


def test_a_reservation_frees_itself_after_a_minute(store: Store) -> None:
    store.keys.reserve("t", "k", fingerprint="f", now=NOON)
    with pytest.raises(RequestInProgress):
        store.keys.reserve("t", "k", fingerprint="f", now=NOON + timedelta(seconds=59))
    assert store.keys.reserve("t", "k", fingerprint="other", now=NOON + timedelta(seconds=60)) is None


def test_a_response_is_stored_for_a_day(store: Store) -> None:
    store.keys.reserve("t", "k", fingerprint="f", now=NOON)
    store.keys.store_response("t", "k", response={"n": 1}, now=NOON + timedelta(seconds=5))
    last = NOON + timedelta(hours=24, seconds=4)
    assert store.keys.reserve("t", "k", fingerprint="f", now=last) == {"n": 1}
    assert store.keys.reserve("t", "k", fingerprint="other", now=last + timedelta(seconds=1)) is None
    with pytest.raises(RequestInProgress):
        store.keys.reserve("t", "k", fingerprint="other", now=last + timedelta(seconds=1))


# ---------------------------------------------------------------- checksums of parts


def test_checksums_of_parts_are_stored_by_upload_and_the_last_one_counts(store: Store) -> None:
    assert store.checksums.get_all("a") == {}
    store.checksums.store("a", {1: 0, 10_000: 2**32 - 1, 2: 5})
    store.checksums.store("a", {2: 6})
    store.checksums.store("a", {})
    store.checksums.store("a#1/ü", {1: 9})
    assert store.checksums.get_all("a") == {1: 0, 2: 6, 10_000: 2**32 - 1}
    # More than one request takes.
    store.checksums.store("b", {number: number * 3 for number in range(1, 61)})
    assert store.checksums.get_all("b") == {number: number * 3 for number in range(1, 61)}
    assert store.checksums.get_all("a#1/ü") == {1: 9}
    assert_counts(store)


# ---------------------------------------------------------------- any history

ROOMS = {"room_1": "meeting_1", "room_2": "meeting_2"}
STEPS = st.one_of(
    st.tuples(st.just("room"), st.sampled_from(sorted(ROOMS)), st.sampled_from(["meeting_1", "meeting_2"])),
    st.tuples(st.just("move"), st.sampled_from(sorted(ROOMS)), st.sampled_from(["meeting_1", "meeting_2", "spare"])),
    st.tuples(st.just("remove"), st.sampled_from(sorted(ROOMS))),
    st.tuples(st.just("lease"), st.sampled_from(sorted(ROOMS)), st.sampled_from(["n1", "n2"]), st.integers(-1, 1)),
    st.tuples(st.just("release"), st.sampled_from(sorted(ROOMS)), st.sampled_from(["n1", "n2"])),
    st.tuples(
        st.just("add"),
        st.sampled_from(sorted(ROOMS)),
        st.integers(0, 4),
        st.sampled_from(list(Status)),
        st.sampled_from([None, "n1", "n2"]),
    ),
    st.tuples(st.just("stop"), st.integers(0, 4)),
    st.tuples(st.just("fail"), st.integers(0, 4)),
    st.tuples(st.just("store"), st.integers(0, 4), st.integers(0, 2**50)),
    st.tuples(st.just("stale"), st.integers(0, 4)),
    st.tuples(st.just("delete"), st.integers(0, 4)),
    st.tuples(st.just("undelete"), st.integers(0, 4)),
    st.tuples(st.just("progress"), st.integers(0, 4), st.booleans()),
)
BEGAN = datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)


def do(store: Store, step: tuple[Any, ...], origin: datetime) -> str:  # noqa: C901 - one case for each kind of step
    """Do one step. Return its outcome in words that do not depend on the store."""
    kind, *rest = step
    try:
        match kind, rest:
            case "room", [room_id, meeting]:
                store.rooms.add(a_room(id=room_id, meeting_id=meeting))
            case "move", [room_id, meeting]:
                room = store.rooms.get("tenant_1", room_id)
                store.rooms.save(room, replace(room, meeting_id=meeting, version=room.version + 1))
            case "remove", [room_id]:
                store.rooms.remove(store.rooms.get("tenant_1", room_id))
            case "lease", [room_id, nonce, when]:
                started = origin + timedelta(hours=when)
                store.rooms.acquire_lock(
                    "tenant_1", room_id, nonce=nonce, now=started, until=started + timedelta(seconds=600)
                )
            case "release", [room_id, nonce]:
                store.rooms.release_lock("tenant_1", room_id, nonce=nonce)
            case "add", [room_id, n, status, nonce]:
                store.recordings.add(numbered(n, room_id=room_id, status=status), lease_nonce=nonce)
            case "stale", [n]:
                before = replace(store.recordings.get("tenant_1", numbered(n).id), version=99)
                store.recordings.save(before, replace(before, version=100))
            case "progress", [n, stalled]:
                one = store.recordings.get("tenant_1", numbered(n).id)
                store.recordings.note_progress(one, Progress(step="copying", attempt=1), stalled=stalled)
            case _, [n, *size]:
                before = store.recordings.get_including_deleted("tenant_1", numbered(n).id)
                after = {
                    "delete": lambda: before.deleted(at=NOON),
                    "undelete": lambda: before.undeleted(),
                    "stop": lambda: before.stopped(at=NOON, cause="x"),
                    "fail": lambda: before.failed(Failure("c", "m"), at=NOON, cause="x"),
                    "store": lambda: before.stored(
                        a_file(size_bytes=size[0]), duration_seconds=size[0] % 1000, partial=False, at=NOON, cause="x"
                    ),
                }[kind]()
                after = store.recordings.save(before, after)
    except RecordingsError as refusal:
        return f"{type(refusal).__name__} {getattr(refusal, 'blocker', None)}"
    return "done"


def numbered(n: int, **changes: Any) -> Recording:
    """The n-th recording: three of them share the last seconds of one day, the others begin the next."""
    at = BEGAN + timedelta(seconds=n)
    id_of = CountingIds()
    return a_recording(id=id_of(at), cloudflare_recording_id=f"capture_{n % 4}", created_at=at, **changes)


def whole_state(store: Store) -> list[Any]:
    rooms = store.rooms.list("tenant_1", limit=10)
    page = store.recordings.page("tenant_1", limit=10, offset=0)
    owners = [store.rooms.find_by_meeting_id(meeting) for meeting in ("meeting_1", "meeting_2", "spare")]
    known = [store.recordings.find_by_cloudflare_recording_id(f"capture_{n}") for n in range(4)]
    return [list(rooms.items), list(store.recordings.list_all("tenant_1")), list(page.items), page.total, owners, known]


def assert_whole(store: Store) -> None:
    """What holds after every history."""
    assert [*store.find_faults()] == []
    recordings = [one for one in store.recordings.list_all("tenant_1") if one.deleted_at is None]
    listed = store.recordings.page("tenant_1", limit=100, offset=0).items
    assert list(listed) == [ListedRecording.of(one) for one in recordings]
    assert_counts(store, *recordings)
    running = {(one.room_id, one.id) for one in recordings if one.status is Status.RECORDING}
    held = {(room.id, room.active_recording_id) for room in store.rooms.list("tenant_1", limit=100).items}
    assert running == {pair for pair in held if pair[1] is not None}
    provider_recordings = [one.cloudflare_recording_id for one in recordings]
    assert len(provider_recordings) == len(set(provider_recordings))


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40))
def test_any_history_leaves_tallies_rooms_and_links_exact(history: list[tuple[Any, ...]]) -> None:
    store, origin = in_memory(), datetime.now(UTC).replace(microsecond=0)
    for step in [("room", "room_1", "meeting_1"), *history]:
        do(store, step, origin)
        assert_whole(store)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_the_fake_and_dynamodb_behave_alike_in_any_history(history: list[tuple[Any, ...]]) -> None:
    origin = datetime.now(UTC).replace(microsecond=0)
    with a_table(Layout.ROWS_WITH_DAYS):
        memory, real = in_memory(), in_dynamo()
        for step in [("room", "room_1", "meeting_1"), *history]:
            assert do(real, step, origin) == do(memory, step, origin), step
        assert whole_state(real) == whole_state(memory)
        assert_whole(real)
