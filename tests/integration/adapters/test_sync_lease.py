"""The lease and the retry queue of the sync. The fakes and DynamoDB pass the same tests."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.domain.errors import InfrastructureError
from recordings.domain.sync import FULL_SYNC_INTERVAL, SyncItem, SyncWindow
from recordings.ports.repositories import RetryQueue, SyncLease
from tests.support.builders import NOON
from tests.support.fakes import Memory, MemoryRetryQueue, MemorySyncLease
from tests.support.table import a_table, atomic

KINDS: dict[str, tuple[Callable[[], AbstractContextManager[Any]], Callable[[], SyncLease]]] = {
    "memory": (nullcontext, MemorySyncLease),
    "dynamo": (a_table, DynamoSyncLease),
}
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=KINDS)
def state(request: pytest.FixtureRequest) -> Iterator[SyncLease]:
    within, make = KINDS[request.param]
    with within():
        yield make()


def begin(state: SyncLease, nonce: str = "a", after: timedelta = timedelta(0)) -> SyncWindow | None:
    return state.acquire(nonce=nonce, now=NOON + after, until=NOON + after + 30 * MINUTE)


def test_the_first_sync_has_no_watermark_and_is_a_full_one(state: SyncLease) -> None:
    assert begin(state) == SyncWindow(None, True)


def test_one_sync_runs_until_its_lease_ends(state: SyncLease) -> None:
    begin(state)
    for after in (timedelta(0), 29 * MINUTE, 30 * MINUTE - timedelta(seconds=1)):
        assert begin(state, "b", after) is None
    assert begin(state, "b", 30 * MINUTE) == SyncWindow(None, True, NOON)
    assert begin(state, "a", 31 * MINUTE) is None


def test_a_sync_begins_at_the_watermark_of_the_previous_one(state: SyncLease) -> None:
    begin(state)
    state.release(nonce="a", watermark=NOON - MINUTE, full_at=NOON)
    assert begin(state, "b", MINUTE) == SyncWindow(NOON - MINUTE, False, NOON)
    state.release(nonce="b", watermark=None, full_at=None)
    assert begin(state, "c", 2 * MINUTE) == SyncWindow(NOON - MINUTE, False, NOON + MINUTE)
    state.release(nonce="c", watermark=NOON, full_at=None)
    assert begin(state, "d", 3 * MINUTE) == SyncWindow(NOON, False, NOON + 2 * MINUTE)


def test_a_full_sync_follows_after_its_interval(state: SyncLease) -> None:
    begin(state)
    state.release(nonce="a", watermark=NOON, full_at=NOON)
    assert begin(state, "b", FULL_SYNC_INTERVAL - timedelta(seconds=1)) == SyncWindow(NOON, False, NOON)
    state.release(nonce="b", watermark=None, full_at=None)
    assert begin(state, "c", FULL_SYNC_INTERVAL) == SyncWindow(
        NOON, True, NOON + FULL_SYNC_INTERVAL - timedelta(seconds=1)
    )


def test_a_sync_that_lost_its_lease_stores_nothing(state: SyncLease) -> None:
    begin(state)
    assert begin(state, "b", 30 * MINUTE) is not None
    state.release(nonce="a", watermark=NOON + timedelta(days=9), full_at=NOON)
    assert begin(state, "c", 31 * MINUTE) is None
    state.release(nonce="b", watermark=NOON, full_at=None)
    state.release(nonce="b", watermark=NOON + timedelta(days=9), full_at=None)
    assert begin(state, "c", 31 * MINUTE) == SyncWindow(NOON, True, NOON + 30 * MINUTE)


def test_a_repeated_call_with_the_same_nonce_holds_the_lease(state: SyncLease) -> None:
    assert begin(state) == SyncWindow(None, True)
    assert begin(state, "a", MINUTE) is not None
    assert begin(state, "b", 30 * MINUTE) is None
    assert begin(state, "b", 31 * MINUTE) is not None


def test_a_renewed_lease_is_held(state: SyncLease) -> None:
    begin(state)
    state.renew(nonce="a", until=NOON + 50 * MINUTE)
    state.renew(nonce="b", until=NOON + timedelta(days=9))
    assert begin(state, "b", 50 * MINUTE - timedelta(seconds=1)) is None
    assert begin(state, "b", 50 * MINUTE) is not None
    state.renew(nonce="a", until=NOON + timedelta(days=9))
    assert begin(state, "c", 80 * MINUTE) is not None


def test_a_release_without_a_lease_does_nothing(state: SyncLease) -> None:
    state.release(nonce="a", watermark=NOON, full_at=NOON)
    assert begin(state) == SyncWindow(None, True)


def test_one_of_many_concurrent_syncs_acquires_the_lease(state: SyncLease) -> None:
    outcomes: list[SyncWindow | None] = []
    barrier = threading.Barrier(16)

    def go(nonce: str) -> None:
        barrier.wait()
        outcomes.append(begin(state, nonce))

    threads = [threading.Thread(target=go, args=(f"run_{n}",)) for n in range(16)]
    with atomic():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len([one for one in outcomes if one is not None]) == 1
    assert len(outcomes) == 16


def test_a_permanent_error_of_dynamodb_is_an_infrastructure_error() -> None:
    with a_table(), Stubber(client) as stub:
        for _ in range(2):
            stub.add_client_error("update_item", service_error_code="ValidationException", http_status_code=400)
        with pytest.raises(InfrastructureError):
            begin(DynamoSyncLease())
        with pytest.raises(InfrastructureError):
            DynamoSyncLease().release(nonce="a", watermark=None, full_at=None)


# ---------------------------------------------------------------- the retry queue


@pytest.fixture(params=["memory", "dynamo"])
def queue(request: pytest.FixtureRequest) -> Iterator[RetryQueue]:
    with a_table() if request.param == "dynamo" else nullcontext():
        yield DynamoRetryQueue() if request.param == "dynamo" else MemoryRetryQueue(Memory())


def an_item(cloudflare_recording_id: str) -> SyncItem:
    return SyncItem(
        cloudflare_recording_id=cloudflare_recording_id,
        meeting_id="meeting_1",
        meeting_confirmed=True,
        tenant_id="tenant_1",
        recording_id="rec_1",
        queued=True,
    )


def by_name(found: Sequence[SyncItem]) -> list[SyncItem]:
    return sorted(found, key=lambda item: (item.cloudflare_recording_id or "", item.meeting_id or ""))


def test_each_item_is_queued_once_until_it_is_removed(queue: RetryQueue) -> None:
    assert [*queue.list_all()] == []
    wanted = [SyncItem.of_meeting("capture_1"), an_item("capture_1"), an_item("capture_2")]
    for item in [*wanted, *wanted]:
        queue.add(item)
    assert by_name(queue.list_all()) == by_name(wanted)
    queue.remove(an_item("capture_1"))
    queue.remove(an_item("capture_3"))
    assert by_name(queue.list_all()) == by_name([SyncItem.of_meeting("capture_1"), an_item("capture_2")])
    queue.remove(SyncItem.of_meeting("capture_1"))
    queue.remove(an_item("capture_2"))
    assert [*queue.list_all()] == []


def test_a_queued_item_expires_when_cloudflare_has_deleted_the_file() -> None:
    with a_table():
        DynamoRetryQueue().add(an_item("capture_1"))
        (item,) = client.scan(TableName=TABLE)["Items"]
    seconds = int(item["expires_at"]["N"]) - time.time()
    assert 7 * 86_400 < seconds <= 8 * 86_400
