"""What lists are read from equals the recordings, in every state of the layout and while the state changes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.adapters.aws.age import Age
from recordings.adapters.dynamodb import layout as layouts
from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.layout import Layout, current_layout, find_stored_layout, store_layout
from recordings.adapters.dynamodb.listings import list_recording
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.errors import ConcurrentUpdate, RecordingsError
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording
from tests.support.builders import NOON, a_file, a_recording, a_room
from tests.support.memory_table import a_memory_table
from tests.support.table import a_table, interrupted, plain_items
from tools.listings import faults_of_lists

PROCESSING = a_recording(status=Status.PROCESSING)
READY = PROCESSING.stored(a_file(size_bytes=7), duration_seconds=5, partial=False, at=NOON, cause="x")

STATES = [*Layout]
# The recordings of a history: near the ends of a quarter hour, of a day, of a month and of a year.
TIMES = [
    datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 44, 59, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 45, tzinfo=UTC),
    datetime(2026, 2, 1, 0, 14, 59, tzinfo=UTC),
]
CHANGES = st.tuples(
    st.sampled_from(["add", "fail", "store", "store", "archive", "abandon", "delete", "undelete", "recover"]),
    st.integers(0, len(TIMES) - 1),
    st.integers(0, 2**50),
)
# A change by a process that works by an older state.
STALE = st.tuples(st.just("stale"), CHANGES)
STATE = st.tuples(st.just("state"))
STEPS = st.one_of(CHANGES, CHANGES, CHANGES, STALE, STALE, STATE)


def numbered(n: int, **changes: Any) -> Recording:
    """The n-th recording of a history."""
    return a_recording(
        **{"created_at": TIMES[n], "cloudflare_recording_id": f"capture_{n}", "room_id": f"room_{n % 2}"} | changes
    )


def change(kind: str, n: int, size: int) -> None:
    """Do one step of a history, if it is possible now."""
    recordings = DynamoRecordings()
    try:
        if kind == "add":
            recordings.add(numbered(n, status=Status.PROCESSING), lease_nonce=None)
            return
        before = recordings.get_including_deleted("tenant_1", numbered(n).id)
        file = a_file(size_bytes=size)
        after = {
            "fail": lambda: before.failed(Failure("c", "m"), at=NOON, cause="x"),
            "store": lambda: before.stored(file, duration_seconds=size % 1000, partial=False, at=NOON, cause="x"),
            "archive": lambda: before.archiving(at=NOON),
            "abandon": lambda: before.archive_abandoned(Failure("c", "m"), at=NOON),
            "delete": lambda: before.deleted(at=NOON),
            "undelete": lambda: before.undeleted(),
            "recover": lambda: before.recovered(at=NOON),
        }[kind]()
        recordings.save(before, after)
    except RecordingsError:
        # Not possible now.
        return


@contextmanager
def working_by(state: Layout) -> Iterator[None]:
    """Let this process work by a state that it read earlier."""
    latest = layouts._cached
    layouts._cached = state, Age(math.inf, math.inf)
    try:
        yield
    finally:
        layouts._cached = latest


def migrate() -> None:
    """What a migration does between `both` and `rows_with_days`."""
    for recording in DynamoRecordings().list_all("tenant_1"):
        list_recording(recording)


def next_state() -> None:
    now = current_layout()
    if now is not Layout.ROWS:
        latest = STATES[STATES.index(now) + 1]
        if latest is Layout.ROWS_WITH_DAYS:
            migrate()
        store_layout(latest, expected=now)


def assert_exact() -> None:
    assert [*faults_of_lists(plain_items())] == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_lists_stay_exact_in_any_history_and_through_every_state(history: list[tuple[Any, ...]]) -> None:
    with a_memory_table(Layout.DAYS) as table:
        for n in range(3):
            change("add", n, 0)
        for kind, *rest in history:
            if kind == "state":
                next_state()
            elif kind == "stale":
                with working_by(STATES[max(0, STATES.index(current_layout()) - 1)]):
                    change(*rest[0])
            else:
                change(kind, *rest)
            if current_layout() is not Layout.BOTH:
                assert [*faults_of_lists(table.plain_items())] == []
        while current_layout() is not Layout.ROWS:
            next_state()
        assert [*faults_of_lists(table.plain_items())] == []


@pytest.mark.parametrize("state", STATES)
def test_a_recording_is_listed_from_its_start_to_its_deletion_and_after_it(state: Layout) -> None:
    with a_table(state):
        recordings = DynamoRecordings()
        DynamoRooms().add(a_room())
        recordings.add(running := a_recording(), lease_nonce=None)
        assert_exact()
        recordings.save(running, stopped := running.stopped(at=NOON, cause="x"))
        assert_exact()
        recordings.save(
            stopped, ready := stopped.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
        )
        assert_exact()
        recordings.save(ready, longer := replace(ready, duration_seconds=6, version=ready.version + 1))
        assert_exact()
        recordings.save(longer, deleted := longer.deleted(at=NOON))
        assert_exact()
        recordings.save(deleted, deleted.undeleted())
        assert_exact()


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(READY, id="another status"),
        pytest.param(replace(PROCESSING, duration_seconds=5, version=9), id="the same status"),
        pytest.param(PROCESSING.deleted(at=NOON), id="deleted"),
    ],
)
def test_the_next_change_of_a_recording_without_rows_lists_it(after: Recording) -> None:
    with a_table(Layout.DAYS):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        store_layout(Layout.BOTH, expected=Layout.DAYS)
        recordings.save(PROCESSING, after)
        assert_exact()


def test_a_recording_that_is_listed_during_its_first_listing_is_counted_once() -> None:
    with a_table(Layout.DAYS):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        store_layout(Layout.BOTH, expected=Layout.DAYS)
        # The first transaction finds no row. The second one finds the row that a migration wrote meanwhile.
        with interrupted("TransactWriteItems", lambda: list_recording(PROCESSING), at=2):
            recordings.save(PROCESSING, READY)
        assert_exact()


def test_a_process_that_works_by_the_earlier_state_notices_a_listed_recording() -> None:
    with a_table(Layout.DAYS):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        store_layout(Layout.BOTH, expected=Layout.DAYS)
        assert list_recording(PROCESSING)
        with working_by(Layout.DAYS):
            recordings.save(PROCESSING, READY)
        assert_exact()


def test_a_state_that_was_taken_back_does_not_stop_changes() -> None:
    with a_table(Layout.BOTH):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        store_layout(Layout.DAYS, expected=Layout.BOTH)
        stored = recordings.save(PROCESSING, READY)
        assert recordings.get("tenant_1", READY.id) == stored
        assert_exact()


def test_a_recording_is_listed_once() -> None:
    with a_table(Layout.BOTH):
        DynamoRecordings().add(PROCESSING, lease_nonce=None)
        assert not list_recording(PROCESSING)
        assert_exact()


def test_a_deleted_recording_is_not_listed() -> None:
    with a_table(Layout.BOTH):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        recordings.save(PROCESSING, deleted := PROCESSING.deleted(at=NOON))
        assert not list_recording(deleted)
        assert_exact()


def test_a_recording_that_changed_since_it_was_read_is_not_listed() -> None:
    with a_table(Layout.DAYS):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        recordings.save(PROCESSING, READY)
        store_layout(Layout.BOTH, expected=Layout.DAYS)
        with pytest.raises(ConcurrentUpdate):
            list_recording(PROCESSING)


def test_a_stray_row_is_counted_once_when_its_recording_returns() -> None:
    """An earlier release that is put back deletes recordings without their rows."""
    with a_table(Layout.BOTH):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        with working_by(Layout.DAYS):
            store_layout(Layout.DAYS, expected=Layout.BOTH)
            recordings.save(PROCESSING, deleted := PROCESSING.deleted(at=NOON))
        store_layout(Layout.BOTH, expected=Layout.DAYS)
        recordings.save(deleted, deleted.undeleted())
        assert_exact()


def test_a_row_that_comes_and_goes_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_table(Layout.BOTH):
        recordings = DynamoRecordings()
        recordings.add(PROCESSING, lease_nonce=None)
        pks = {"S": "T#tenant_1#ROWS#processing"}, {"S": "T#tenant_1#ROWS#processing#room_1"}
        row = {"pk": pks[0], "sk": {"S": PROCESSING.id}}
        found = client.get_item(TableName=TABLE, Key=row)["Item"]
        present = True

        def toggle() -> None:
            nonlocal present
            if present:
                client.delete_item(TableName=TABLE, Key=row)
            else:
                client.put_item(TableName=TABLE, Item=found)
            present = not present

        with interrupted("TransactWriteItems", toggle, at=None), pytest.raises(ConcurrentUpdate):
            recordings.save(PROCESSING, READY)


def test_the_first_room_stores_the_state_of_a_new_table() -> None:
    with a_table():
        DynamoRooms().add(a_room())
        assert find_stored_layout() is not None
        DynamoRooms().add(a_room(id="room_2", meeting_id="meeting_2", created_at=NOON + timedelta(seconds=1)))
        assert find_stored_layout() is not None
