"""The recordings that the bench of lists reads, and the items that they have in the table."""

from collections import Counter
from collections.abc import Callable

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.listing_items import rows_key, tally_key
from recordings.adapters.dynamodb.recording_items import day_tally_key, recording_of, room_list_key
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level, changes, difference
from tools.bench.dynamodb.table import MAX_PAGE_BYTES, MemoryTable, Partition
from tools.bench.lists.cases import LIMIT, Case, all_cases, offsets
from tools.bench.lists.data import GREATEST_SHARE, TENANT, Dataset, generate
from tools.bench.lists.layouts import day_table, row_table
from tools.bench.lists.plain import Plain
from tools.bench.units import READ_UNIT_BYTES, item_size


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(2000)


def test_a_seed_gives_the_same_recordings() -> None:
    one, again, other = generate(1000), generate(1000), generate(1000, seed=2)

    assert one == again
    assert one.ids != other.ids


def test_ids_sort_as_the_recordings_were_created(dataset: Dataset) -> None:
    assert list(dataset.ids) == sorted(set(dataset.ids))
    assert list(dataset.times) == sorted(dataset.times)
    assert len(dataset) == 2000


def test_the_recordings_are_unevenly_spread(dataset: Dataset) -> None:
    days = Counter(at // 86_400 for at in dataset.times)
    years = Counter(dataset.created_at(at).year for at in range(len(dataset)))
    statuses = Counter(dataset.status(at) for at in range(len(dataset)))

    assert days.most_common(1)[0][1] == len(dataset.greatest_day) == round(2000 * GREATEST_SHARE)
    assert years[2026] > 4 * years[2022] > 0
    assert statuses[Status.ARCHIVED] > statuses[Status.READY] > statuses[Status.FAILED] > statuses[Status.RECORDING] > 0
    assert statuses[Status.PROCESSING] > 0
    # The busiest room has a fifth.
    assert len(dataset.of_room(dataset.room_ids[0])) == pytest.approx(400, rel=0.15)
    assert 0 < len(dataset.deleted) <= 60


@pytest.mark.parametrize("table", [day_table, row_table])
def test_a_size_by_shape_is_the_size_of_the_item(dataset: Dataset, table: Callable[[Dataset], MemoryTable]) -> None:
    filled = table(dataset)
    keys = [partition(TENANT, "REC"), room_list_key(TENANT, dataset.room_ids[0])]
    keys += [rows_key(TENANT, status, room) for status in Status for room in (None, dataset.room_ids[0])]
    found = 0
    for key in keys:
        one = filled.partitions.get(key)
        for at in range(0, len(one.sort_keys) if one is not None else 0, 7):
            assert one is not None
            item = one.item(at)
            assert (item["pk"]["S"], item["sk"]["S"]) == (key, one.sort_keys[at])
            assert one.size(at) == item_size(item)
            found += 1
    assert found > 300


def test_a_recordings_item_reads_as_the_recording(dataset: Dataset) -> None:
    recordings = day_table(dataset).partitions.get(partition(TENANT, "REC"))
    assert recordings is not None
    for at in range(0, len(dataset), 97):
        assert recording_of(recordings.item(at)) == dataset.recording(at)


def test_tallies_by_day_count_the_recordings(dataset: Dataset) -> None:
    table = day_table(dataset)
    for room_id in (None, dataset.room_ids[1]):
        counted = Counter[str]()
        for at in range(len(dataset)):
            recording = dataset.recording(at)
            if room_id in (None, recording.room_id):
                day = f"{recording.created_at:%Y-%m-%d}"
                counted.update({f"{day} {name}": count for name, count in difference(None, recording).items()})
        stored = table.partitions.get(day_tally_key(TENANT, room_id))
        assert stored is not None
        assert _counters(stored) == counted


@pytest.mark.parametrize("level", list(Level))
def test_tallies_by_calendar_count_the_recordings(dataset: Dataset, level: Level) -> None:
    table = row_table(dataset)
    for room_id in (None, dataset.room_ids[1]):
        stored = table.partitions.get(tally_key(level, TENANT, room_id))
        assert stored is not None
        counted = Counter[str]()
        for at in range(len(dataset)):
            recording = dataset.recording(at)
            if room_id in (None, recording.room_id):
                bucket = level.bucket_of(recording.created_at)
                counted.update({f"{bucket} {name}": n for name, n in changes(level, None, recording).items()})
        assert _counters(stored) == counted


def _counters(stored: Partition) -> Counter[str]:
    found = Counter[str]()
    for at in range(len(stored.sort_keys)):
        item = stored.item(at)
        bucket = item["sk"]["S"].partition("#")[0]
        found.update({f"{bucket} {name}": int(value["N"]) for name, value in item.items() if "N" in value})
    return +found


def test_a_case_selects_what_its_parameters_select(dataset: Dataset) -> None:
    for case in all_cases(dataset):
        wanted = [
            at
            for at in reversed(range(len(dataset)))
            if (case.room_id is None or dataset.room_id(at) == case.room_id)
            and (not case.statuses or dataset.status(at) in case.statuses)
            and (case.after is None or dataset.created_at(at) > case.after)
            and (case.before is None or dataset.created_at(at) < case.before)
        ]
        assert list(case.selected(dataset)) == wanted


def test_a_cut_of_the_greatest_day_leaves_some_on_both_sides(dataset: Dataset) -> None:
    case = next(one for one in all_cases(dataset) if one.name == "both ends in the greatest day")

    selected = case.selected(dataset)

    assert 0 < len(selected) < len(dataset.greatest_day)
    assert dataset.greatest_day.start <= selected[-1] <= selected[0] < dataset.greatest_day.stop


@pytest.mark.parametrize("page_bytes", [pytest.param(150_000, id="many requests"), MAX_PAGE_BYTES])
def test_the_plain_way_costs_what_its_queries_cost(dataset: Dataset, page_bytes: int) -> None:
    table, plain = day_table(dataset), Plain(dataset, page_bytes=page_bytes)
    table.page_bytes = page_bytes
    for case in (Case(name="all"), Case(name="failed", statuses=(Status.FAILED,))):
        total = len(case.selected(dataset))
        chosen = offsets(total, case.name, count=2)
        for offset, cost in zip(chosen, plain.measure(case, chosen).pages, strict=True):
            with table.answering(client), table.measured() as count:
                counted, count_calls = _read(case, None)
            with table.answering(client), table.measured() as read:
                _, calls = _read(case, offset + LIMIT)
            assert counted == total
            # The last request is counted to the page's last recording.
            assert count.units < cost.units <= count.units + read.units
            assert cost.units > count.units + read.units - page_bytes / READ_UNIT_BYTES - 1
            assert cost.trips == max(count_calls, calls)


def _read(case: Case, wanted: int | None) -> tuple[int, int]:
    """Read until so many have passed the filter (None: all). Return how many have, and the number of requests."""
    arguments: dict[str, object] = {}
    if case.statuses:
        arguments = {"FilterExpression": "#status = :status", "ExpressionAttributeNames": {"#status": "status"}}
    values = {":pk": {"S": partition(TENANT, "REC")}} | (
        {":status": {"S": case.statuses[0].value}} if case.statuses else {}
    )
    found, calls = 0, 0
    while True:
        page = client.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            ScanIndexForward=False,
            Select="COUNT",
            **arguments,  # type: ignore[arg-type]
        )
        found, calls = found + page["Count"], calls + 1
        start = page.get("LastEvaluatedKey")
        if start is None or (wanted is not None and found >= wanted):
            return found, calls
        arguments["ExclusiveStartKey"] = start
