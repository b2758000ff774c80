"""The store under real contention: many writers at once on the emulator's table."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from recordings.adapters.dynamodb.connection import connection
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.errors import ConcurrentUpdate, RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.ports.repositories import Filter
from tests.support.builders import NOON, a_recording, a_room
from tests.support.template import resources
from tools.local import stack

WRITERS = 16


@pytest.fixture
def tenant() -> str:
    return f"store-{uuid.uuid4().hex}"


@pytest.fixture
def store(running: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoRecordings]:
    """A table of its own on the emulator, under the name that the adapters were imported with."""
    client = stack.client(running, "dynamodb")
    (table,) = resources("AWS::DynamoDB::Table").values()
    client.create_table(
        TableName=TABLE,
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        BillingMode=table["BillingMode"],
    )
    monkeypatch.setattr(connection, "_client", client)
    yield DynamoRecordings()
    client.delete_table(TableName=TABLE)


def ids(number: int) -> str:
    """Ids of one day, in order."""
    return f"rec_01KE9JV8G0{number:016d}"


def test_many_recordings_stored_at_once_are_counted_exactly(store: DynamoRecordings, tenant: str) -> None:
    made = [
        a_recording(id=ids(n), tenant_id=tenant, status=Status.PROCESSING, cloudflare_recording_id=f"{tenant}-{n}")
        for n in range(64)
    ]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda one: store.add(one, lease_nonce=None), made))
    assert store.page(tenant, limit=10).total == 64
    assert store.page(tenant, Filter(statuses=frozenset({Status.READY})), limit=10).total == 0
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda one: store.save(one, one.deleted(at=NOON)), made[::2]))
    assert store.page(tenant, limit=10).total == 32


def test_one_capture_is_imported_once_however_many_try(store: DynamoRecordings, tenant: str) -> None:
    def import_it(number: int) -> bool:
        one = a_recording(
            id=ids(number), tenant_id=tenant, status=Status.PROCESSING, cloudflare_recording_id=f"{tenant}-the-same"
        )
        try:
            store.add(one, lease_nonce=None)
        except ConcurrentUpdate:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(import_it, range(WRITERS))) == 1
    assert store.page(tenant, limit=10).total == 1


def test_a_lease_is_one_callers(store: DynamoRecordings, tenant: str) -> None:
    rooms = DynamoRooms()
    rooms.add(a_room(tenant_id=tenant, meeting_id=f"{tenant}-meeting"))

    def take(number: int) -> bool:
        until = NOON + timedelta(seconds=60)
        try:
            rooms.acquire_lock(tenant, "room_1", nonce=f"nonce-{number}", now=NOON, until=until)
        except RoomAlreadyRecording:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(take, range(WRITERS))) == 1


def test_of_changes_at_once_one_is_stored(store: DynamoRecordings, tenant: str) -> None:
    before = a_recording(id=ids(0), tenant_id=tenant, status=Status.PROCESSING, cloudflare_recording_id=f"{tenant}-one")
    store.add(before, lease_nonce=None)

    def change(number: int) -> bool:
        try:
            store.save(before, before.recovered(at=NOON + timedelta(seconds=number)))
        except ConcurrentUpdate:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(change, range(WRITERS))) == 1
    assert store.get(tenant, before.id).attempt == 2
