"""The state of the layout, and the items that lists are read from."""

from collections.abc import Iterator

import pytest

from recordings.adapters.dynamodb import layout
from recordings.adapters.dynamodb.audit import DynamoTenants
from recordings.adapters.dynamodb.layout import (
    LAYOUT_TTL_SECONDS,
    NEW_TABLE,
    Layout,
    current_layout,
    establish_layout,
    find_stored_layout,
    store_layout,
)
from recordings.adapters.dynamodb.listing_items import (
    DayCountsItem,
    RoomRowItem,
    RowItem,
    YearTallyItem,
    additions,
    rows_key,
    tally_key,
)
from recordings.adapters.dynamodb.queries import get_item, query_items
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level
from tests.support.builders import NOON, a_recording
from tests.support.table import a_table


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with a_table():
        yield


def a_tenant() -> None:
    DynamoTenants().note_audit("tenant_1", at=NOON)


def test_a_table_without_tenants_is_new_and_one_with_tenants_has_days() -> None:
    assert current_layout() is NEW_TABLE
    a_tenant()
    assert current_layout() is Layout.DAYS


def test_the_layout_of_a_new_table_is_stored_once() -> None:
    establish_layout()
    a_tenant()
    assert find_stored_layout() is NEW_TABLE
    store_layout(Layout.ROWS_WITH_DAYS, expected=NEW_TABLE)
    establish_layout()
    assert current_layout() is Layout.ROWS_WITH_DAYS


def test_no_layout_is_stored_for_a_table_with_tenants() -> None:
    a_tenant()
    establish_layout()
    assert find_stored_layout() is None


def test_another_state_than_the_expected_one_is_not_replaced() -> None:
    with pytest.raises(ConcurrentUpdate):
        store_layout(Layout.ROWS, expected=Layout.BOTH)
    store_layout(Layout.BOTH, expected=None)
    with pytest.raises(ConcurrentUpdate):
        store_layout(Layout.ROWS, expected=None)
    assert find_stored_layout() is Layout.BOTH


@pytest.mark.parametrize("clock", ["time.monotonic", "time.time"])
def test_a_state_serves_for_a_minute(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """Also where Lambda freezes the process, and the monotonic clock stops meanwhile."""
    now = 100.0
    for one in ("time.monotonic", "time.time"):
        monkeypatch.setattr(one, lambda one=one: now if one == clock else 100.0)
    store_layout(Layout.BOTH, expected=None)
    assert current_layout() is Layout.BOTH
    cached = layout._cached
    store_layout(Layout.ROWS_WITH_DAYS, expected=Layout.BOTH)
    layout._cached = cached
    now += LAYOUT_TTL_SECONDS - 1
    assert current_layout() is Layout.BOTH
    now += 1
    assert current_layout() is Layout.ROWS_WITH_DAYS


@pytest.mark.parametrize("state", Layout)
def test_a_state_reads_only_what_it_writes(state: Layout) -> None:
    assert state.writes_rows if state.reads_rows else state.writes_days


def test_a_row_has_what_a_list_shows() -> None:
    ready = a_recording(status=Status.READY)
    with Transaction() as transaction:
        transaction.save(RowItem.from_domain(ready))
        transaction.save(RoomRowItem.from_domain(ready))
    row = get_item(RowItem, rows_key("tenant_1", Status.READY), ready.id)
    room_row = get_item(RoomRowItem, rows_key("tenant_1", Status.READY, "room_1"), ready.id)
    assert row is not None
    assert room_row is not None
    assert (row.room_id, row.duration_seconds, row.size_bytes) == ("room_1", 60, 1000)
    assert (room_row.duration_seconds, room_row.size_bytes) == (60, 1000)


def test_the_counters_of_a_tally_add_up() -> None:
    for part, counters in ((0, {"01d": 2, "02p": 1}), (0, {"01d": -1}), (63, {"01d": 5})):
        with Transaction() as transaction:
            transaction.update(YearTallyItem.at("tenant_1", None, "2026", part), additions(counters))
            transaction.update(DayCountsItem.at("tenant_1", None, "2026-01-06", part), additions({"bytes": 2**50}))
    found = [*query_items(YearTallyItem, tally_key(Level.YEAR, "tenant_1"))]
    assert [(item.bucket, item.counters) for item in found] == [("2026", {"01d": 1, "02p": 1}), ("2026", {"01d": 5})]
    days = [*query_items(DayCountsItem, tally_key(Level.DAY, "tenant_1"))]
    assert [(item.bucket, item.counters["bytes"]) for item in days] == [("2026-01-06", 2**51), ("2026-01-06", 2**50)]
