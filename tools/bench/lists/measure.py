"""What the pages of a filter cost."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tools.bench.dynamodb.table import MemoryTable
from tools.bench.lists import handlers
from tools.bench.lists.cases import LIMIT, WALKED_PAGES, Case
from tools.bench.lists.data import NONE, Dataset
from tools.bench.lists.handlers import Measured

# Of the recordings that a get is measured with.
GETS: Final = 50


class WrongPage(Exception):
    """A page differs from what was stored."""


@dataclass(frozen=True, slots=True)
class PageCost:
    """`offset` None: a page after a cursor."""

    offset: int | None
    units: float
    trips: int
    calls: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class CaseCost:
    """The pages of one filter. `pages` is empty if the filter selects nothing that could be read."""

    case: Case
    total: int
    pages: Sequence[PageCost] = field(default_factory=list)

    @property
    def median_units(self) -> float:
        return statistics.median(page.units for page in self.pages)

    @property
    def worst_units(self) -> float:
        return max(page.units for page in self.pages)

    @property
    def worst_trips(self) -> int:
        return max(page.trips for page in self.pages)

    @property
    def median_cpu_ms(self) -> float:
        return statistics.median(page.cpu_seconds for page in self.pages) * 1000

    def at(self, offset: int) -> PageCost:
        """Return the page at an offset that was read."""
        return next(page for page in self.pages if page.offset == offset)


def measure_case(
    table: MemoryTable,
    dataset: Dataset,
    case: Case,
    *,
    wanted: Sequence[int],
    walked_pages: int = WALKED_PAGES,
) -> CaseCost:
    """Read the pages of a filter, within `handlers.serving`, and compare them with the dataset.

    `wanted` are their offsets. Cursors are followed over `walked_pages`, from the newest page and from the middle.

    Raises:
        WrongPage: a page differs
    """
    selected = case.selected(dataset)
    pages = []

    def read(parameters: Sequence[tuple[str, str]], begin: int, offset: int | None) -> Measured:
        page = handlers.list_recordings(table, [*case.parameters, ("limit", str(LIMIT)), *parameters])
        check(page.body, dataset, selected, begin, offset)
        pages.append(PageCost(offset, page.units, page.trips, page.calls, page.cpu_seconds))
        return page

    for offset in wanted:
        page = read([("offset", str(offset))], offset, offset)
        begin, cursor = offset + LIMIT, page.body["meta"]["next_cursor"]
        left = walked_pages if offset in (0, len(selected) // 2) else 0
        while cursor is not None and left:
            page = read([("cursor", cursor)], begin, None)
            begin, cursor, left = begin + LIMIT, page.body["meta"]["next_cursor"], left - 1
    return CaseCost(case, len(selected), pages)


def check(body: Any, dataset: Dataset, selected: Sequence[int], begin: int, offset: int | None) -> None:
    """Compare a page with the recordings that it must show.

    Raises:
        WrongPage: it differs
    """
    wanted = [row(dataset, at) for at in selected[begin : begin + LIMIT]]
    if body["data"] != wanted:
        raise WrongPage(f"rows from {begin} on: {body['data']} instead of {wanted}")
    meta = body["meta"]
    if (meta["total"], meta["offset"]) != (len(selected), offset):
        raise WrongPage(f"{meta} instead of a total of {len(selected)} and the offset {offset}")
    if (meta["next_cursor"] is None) != (begin + LIMIT >= len(selected)):
        raise WrongPage(f"{meta} at {begin} of {len(selected)}")


def row(dataset: Dataset, at: int) -> dict[str, Any]:
    """Return a recording as a list shows it."""
    return {
        "id": dataset.ids[at],
        "room_id": dataset.room_id(at),
        "status": dataset.status(at).value,
        "duration_seconds": None if dataset.durations[at] == NONE else dataset.durations[at],
        "size_bytes": None if dataset.sizes[at] == NONE else dataset.sizes[at],
        "created_at": dataset.created_at(at).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def measure_get(table: MemoryTable, dataset: Dataset) -> float:
    """Return the median CPU of GetRecording in milliseconds, within `handlers.serving`."""
    step = max(1, len(dataset) // GETS)
    found = [handlers.get_recording(table, dataset.ids[at]) for at in range(0, len(dataset), step)]
    return statistics.median(one.cpu_seconds for one in found) * 1000


def warm_up(table: MemoryTable, dataset: Dataset) -> None:
    """Call each function once, within `handlers.serving`: the first call imports it and reads the table's layout."""
    handlers.list_recordings(table, [])
    handlers.get_recording(table, dataset.ids[0])
