"""Lists are compared with their recordings and mended, on moto's DynamoDB."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from admin import AdminError
from admin.lists import commands
from admin.lists.ledgers import Scope, Tallies, measure
from admin.lists.pace import Pace
from admin.lists.rebuild import compare, rebuild
from recordings.adapters.dynamodb import layout
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.listing_items import (
    DayCountsItem,
    MonthTallyItem,
    RoomRowItem,
    RowItem,
    TallyItem,
    YearTallyItem,
    additions,
    rows_key,
)
from recordings.adapters.dynamodb.recording_items import DayTallyItem
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.writes import delete_item, put_item, update_item
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.tally import Level, counter_of
from tests.support.lists import TENANTS, Writers, a_table_with_lists, fill, right_lists, stored_lists
from tests.support.table import interrupted, plain_items, recorded, watched

TENANT = TENANTS[1]
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with a_table_with_lists():
        yield


@pytest.fixture
def recordings() -> list[Recording]:
    """Six recordings of one tenant, whose lists are rows. The fifth is deleted."""
    return fill(6, tenants=(TENANT,), by=Layout.ROWS)


@pytest.fixture
def recording(recordings: list[Recording]) -> Recording:
    """The first one: it is ready, of 2026-01-06, 12:00, in `room_0`."""
    return recordings[0]


def a_pace() -> Pace:
    return Pace(1e9, pause=lambda _: None)


def check(capsys: pytest.CaptureFixture[str], *, repair: bool = False) -> tuple[int, list[dict[str, Any]]]:
    """Run the command. Return its exit status, and what differed."""
    status = commands.tallies(a_pace(), tenant=None, repair=repair, as_json=True, workers=1)
    printed = json.loads(capsys.readouterr().out)
    return status, [difference for tenant in printed["tenants"] for difference in tenant["differences"]]


def add(item: TallyItem, **counters: int) -> None:
    update_item(item, additions(counters))


def wrong_counters() -> set[tuple[str, ...]]:
    """Make a mistake of each kind in counters. Return how they are named."""
    add(DayCountsItem.at(TENANT, None, "2026-01-06"), **{"48d": 2})
    # A part of a day, and its seconds.
    add(DayCountsItem.at(TENANT, None, "2026-01-08", 7), **{"50f": 1, "seconds": 9})
    add(MonthTallyItem.at(TENANT, None, "2026-01"), **{"06d": -1})
    # A year that has no recordings.
    add(YearTallyItem.at(TENANT, None, "2019"), **{"03a": 4})
    add(MonthTallyItem.at(TENANT, "room_0", "2026-01"), **{"06d": 1})
    add(YearTallyItem.at(TENANT, "room_1", "2026"), **{"01r": 1})
    return {
        ("a#b", "day 2026-01-06 48", "ready", "1", "3"),
        ("a#b", "day 2026-01-08 50", "failed", "0", "1"),
        ("a#b", "day 2026-01-08", "seconds", "0", "9"),
        ("a#b", "month 2026-01 06", "ready", "1", "0"),
        ("a#b", "year 2019 03", "archived", "0", "4"),
        ("a#b room_0", "month 2026-01 06", "ready", "1", "2"),
        ("a#b room_1", "year 2026 01", "recording", "0", "1"),
    }


def wrong_rows(recordings: list[Recording]) -> set[tuple[str, ...]]:
    """Make a mistake of each kind in the rows of different recordings. Return how they are named."""
    ready, failed, processing, archived, _, again = recordings
    delete_item(RowItem.from_domain(ready))
    delete_item(RoomRowItem.from_domain(failed))
    put_item(RowItem(rows_key(TENANT, Status.FAILED), processing.id, room_id="room_0"))
    # A row in a room that has no such recording.
    put_item(RoomRowItem(rows_key(TENANT, Status.ARCHIVED, "room_0"), archived.id))
    update_item(RowItem.from_domain(again), [RowItem.room_id.set("room_0")])
    return {
        ("a#b", ready.id, "missing row, ready", "1", "0"),
        ("a#b room_1", failed.id, "missing row, failed", "1", "0"),
        ("a#b", processing.id, "superfluous row, failed", "0", "1"),
        ("a#b room_0", archived.id, "superfluous row, archived", "0", "1"),
        ("a#b", again.id, "different row, failed", "1", "1"),
    }


def test_right_lists_are_compared_without_a_write(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    with recorded() as sent:
        assert check(capsys, repair=True) == (commands.RIGHT, [])
    assert not WRITES & set(sent)


@pytest.mark.parametrize("what", ["counters", "rows"])
def test_mistakes_are_named_and_mended(
    recordings: list[Recording], capsys: pytest.CaptureFixture[str], what: str
) -> None:
    named = wrong_counters() if what == "counters" else wrong_rows(recordings)
    for repair in (False, True):
        status, found = check(capsys, repair=repair)
        assert {tuple(row.values()) for row in found} == named
        assert status == (commands.RIGHT if repair else commands.DIFFERENT)
    assert stored_lists() == right_lists()
    assert check(capsys) == (commands.RIGHT, [])


def test_an_unlisted_recording_is_missing_from_rows_and_tallies(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then no counter needs a correction of its own: with its rows the recording is counted."""
    for item in (RowItem.from_domain(recording), RoomRowItem.from_domain(recording)):
        delete_item(item)
    for level, cls, room_id in (
        (Level.DAY, DayCountsItem, None),
        (Level.MONTH, MonthTallyItem, None),
        (Level.YEAR, YearTallyItem, None),
        (Level.DAY, DayCountsItem, "room_0"),
        (Level.MONTH, MonthTallyItem, "room_0"),
        (Level.YEAR, YearTallyItem, "room_0"),
    ):
        at = recording.created_at
        more = {"seconds": -60, "bytes": -1000} if level is Level.DAY else {}
        counters = {counter_of(level.child_of(at), Status.READY): -1, **more}
        add(cls.at(TENANT, room_id, level.bucket_of(at)), **counters)
    status, found = check(capsys)
    assert status == commands.DIFFERENT
    assert len(found) == 2 + 6 + 4
    assert check(capsys, repair=True)[0] == commands.RIGHT
    assert stored_lists() == right_lists()


def test_the_table_for_people_names_scope_bucket_and_both_numbers(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    add(MonthTallyItem.at(TENANT, None, "2026-01"), **{"06d": 1})
    assert commands.tallies(a_pace(), tenant=TENANT, repair=False, as_json=False, workers=1) == commands.DIFFERENT
    assert capsys.readouterr().out.splitlines() == [
        "Layout: rows.",
        "scope  bucket            counter  counted  stored",
        "a#b    month 2026-01 06  ready    1        2",
        "1 tenant, 5 recordings: 0 right, 1 wrong.",
        "Nothing was changed. --rebuild mends what differs.",
    ]


def test_a_tenant_that_is_not_known_is_a_mistake(recording: Recording) -> None:
    with pytest.raises(AdminError, match="'nobody' is not known"):
        commands.tallies(a_pace(), tenant="nobody", repair=False, as_json=False, workers=1)


@pytest.mark.parametrize("by", [Layout.DAYS, Layout.ROWS_WITH_DAYS])
def test_day_tallies_are_compared_while_they_are_maintained(by: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    fill(4, tenants=(TENANT,), by=by)
    for room_id, counters in ((None, {"total": 2}), ("room_0", {"status_ready": -1, "bytes": 7})):
        item = DayTallyItem.at(TENANT, room_id, "2026-01-06")
        update_item(item, additions(counters))
    expected = {
        ("a#b", "day tally 2026-01-06", "total", "1", "3"),
        ("a#b room_0", "day tally 2026-01-06", "status_ready", "1", "0"),
        ("a#b room_0", "day tally 2026-01-06", "bytes", "1000", "1007"),
    }
    status, found = check(capsys)
    assert (status, {tuple(row.values()) for row in found}) == (commands.DIFFERENT, expected)
    assert check(capsys, repair=True)[0] == commands.RIGHT
    assert check(capsys) == (commands.RIGHT, [])


# ---------------------------------------------------------------- beside others


@pytest.mark.parametrize("seed", range(2))
def test_a_rebuild_beside_writers_loses_no_change(seed: int) -> None:
    recordings = fill(8, by=Layout.ROWS)
    writers, chance = Writers(seed, TENANTS, recordings), random.Random(seed)
    spoil(chance, recordings)

    def disturb(operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        if chance.random() < 0.05:
            writers.act()
        return send()

    with watched(disturb):
        for tenant in TENANTS:
            while not rebuild(tenant, a_pace(), rows=True, days=False)[1].right:
                pass
    assert sum(writers.changes.values()) > 5
    assert stored_lists() == right_lists()


def spoil(chance: random.Random, recordings: list[Recording]) -> None:
    """Make some mistakes in counters at every level, and in rows that no writer of the test may meet."""
    for recording in chance.sample(recordings, 6):
        at, tenant = recording.created_at, recording.tenant_id
        for level, cls in ((Level.DAY, DayCountsItem), (Level.MONTH, MonthTallyItem), (Level.YEAR, YearTallyItem)):
            if chance.random() < 0.7:
                counter = counter_of(level.child_of(at), chance.choice(list(Status)))
                add(cls.at(tenant, None, level.bucket_of(at), chance.randrange(3)), **{counter: chance.randint(-3, 3)})
        add(MonthTallyItem.at(tenant, recording.room_id, Level.MONTH.bucket_of(at)), **{"28f": chance.randint(1, 3)})
    for number, recording in enumerate(recordings):
        put_item(RowItem(f"T#a%23b#ROWS#{Status.RECORDING}", f"{recording.id[:-2]}{number:02}", room_id="room_0"))


def test_two_rebuilds_at_once_correct_a_counter_once(recording: Recording) -> None:
    add(MonthTallyItem.at(TENANT, None, "2026-01"), **{"06d": 3})
    others = []

    def other() -> None:
        others.append(rebuild(TENANT, a_pace(), rows=True, days=False)[1].right)

    with interrupted("TransactWriteItems", other):
        first, last = rebuild(TENANT, a_pace(), rows=True, days=False)
    assert (first.right, last.right, others) == (False, True, [True])
    (revision,) = [item["revision"] for item in plain_items() if item["kind"] == "tally_revision"]
    assert revision == 1
    assert stored_lists() == right_lists()


def test_a_counter_that_never_rests_is_reported_and_not_corrected(recording: Recording) -> None:
    def disturb(operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        add(DayCountsItem.at(TENANT, None, "2026-01-06"), **{"48d": 1})
        return send()

    with watched(disturb):
        found = compare(TENANT, a_pace(), rows=True, days=False)
    ledger, bucket = found.unsettled[0]
    assert (ledger.name, bucket) == ("day", "2026-01-06")
    assert not found.right


def test_changes_that_cancel_each_other_within_a_measure_do_not_deceive_it(recording: Recording) -> None:
    """Each time the counter is read the recording is ready, and each time the rows are read it is failed."""
    now, measures = recording, iter(range(2))

    def change(status: Status) -> None:
        nonlocal now
        after = replace(now, status=status, version=now.version + 1)
        DynamoRecordings().save(now, after)
        now = after

    def deceive(operation: str, arguments: Any, send: Callable[[], Any]) -> Any:
        if "#DAYS" in str(arguments):
            if now.status is Status.FAILED:
                change(Status.READY)
        elif now.status is Status.READY and next(measures, None) is not None:
            change(Status.FAILED)
        return send()

    ledger = Tallies(Scope(TENANT), Level.DAY, a_pace())
    with watched(deceive):
        measured = measure(ledger, "2026-01-06", {"48d", "48f", "seconds"}, lambda _: None)
    assert next(measures, None) is None
    assert not measured.unsettled
    assert set(measured.excess.values()) == {0}


def test_the_state_both_compares_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the migration has listed everything, rows are incomplete and nobody reads them."""
    recordings = fill(3, tenants=(TENANT,), by=Layout.DAYS)
    layout.store_layout(Layout.BOTH, expected=Layout.DAYS)
    assert recordings
    assert check(capsys) == (commands.RIGHT, [])
