"""What pages of 10,000 recordings cost: the fast form of `make bench-list`, so that no cost grows unnoticed.

If a change makes a page cheaper, or is worth what it costs more, put the new figures into the table below.
"""

from collections.abc import Iterator

import pytest

from tools.bench.dynamodb.table import MemoryTable
from tools.bench.lists import handlers
from tools.bench.lists.cases import all_cases, offsets
from tools.bench.lists.data import Dataset, generate
from tools.bench.lists.layouts import row_table
from tools.bench.lists.measure import measure_case, warm_up

RANDOM_OFFSETS = 4
# The median and the worst read units of a filter's pages, and the most trips.
COSTS: dict[str, tuple[float, float, int]] = {
    "no filter": (5, 7, 3),
    "busiest room": (9, 9, 2),
    "quiet room": (4, 9, 2),
    "failed": (2, 3, 2),
    "processing": (2, 2, 1),
    "recording": (2, 2, 1),
    "ready": (2, 3, 3),
    "archived": (2, 3, 3),
    "failed or processing": (3, 3, 2),
    "ready or archived": (5, 5, 3),
    "all five statuses": (5, 7, 3),
    "room + failed": (2, 2, 1),
    "room + ready or archived": (5, 5, 2),
    "after": (8, 10, 3),
    "before": (10, 10, 3),
    "after + before": (13, 13, 3),
    "both ends in the greatest day": (6, 11, 3),
    "greatest day + ready or archived": (5, 7, 3),
    "greatest day + room": (3, 10, 3),
    "after + failed": (4, 5, 1),
    "all combined": (10, 10, 2),
    "all combined, greatest day": (3, 6, 3),
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(10_000)


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> Iterator[MemoryTable]:
    table = row_table(dataset)
    with handlers.serving(table):
        warm_up(table, dataset)
        yield table


@pytest.mark.parametrize("name", list(COSTS))
def test_pages_of_a_filter_cost_what_they_did(table: MemoryTable, dataset: Dataset, name: str) -> None:
    case = next(one for one in all_cases(dataset) if one.name == name)

    # It compares each page with the recordings.
    wanted = offsets(len(case.selected(dataset)), name, count=RANDOM_OFFSETS)
    cost = measure_case(table, dataset, case, wanted=wanted)

    assert (cost.median_units, cost.worst_units, cost.worst_trips) == COSTS[name]


def test_every_filter_is_in_the_table(dataset: Dataset) -> None:
    assert [case.name for case in all_cases(dataset)] == list(COSTS)
