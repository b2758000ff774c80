"""What pages cost without rows and tallies: read the tenant's recordings with a filter, and skip.

The total is a Query with Select=COUNT over all recordings of the tenant within the filter's times. The page is a second
Query from the newest of them on, until offset + limit recordings have passed the filter. Both read every item on their
way, in pages of 1 MB that must wait for one another. The cost follows from the items' sizes, so nothing is read.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from tools.bench.dynamodb.table import MAX_PAGE_BYTES
from tools.bench.lists.cases import LIMIT, Case
from tools.bench.lists.data import Dataset
from tools.bench.lists.layouts import recordings_partition
from tools.bench.lists.measure import CaseCost, PageCost
from tools.bench.units import read_units


class Plain:
    """The costs of one dataset."""

    def __init__(self, dataset: Dataset, *, page_bytes: int = MAX_PAGE_BYTES) -> None:
        self._dataset, self._page_bytes = dataset, page_bytes
        partition = recordings_partition(dataset)
        # The bytes of the oldest 0, 1, 2, … recordings.
        self._sums = list(accumulate((partition.size(at) for at in range(len(dataset))), initial=0))

    def measure(self, case: Case, offsets: Sequence[int]) -> CaseCost:
        """Return what the pages of a filter cost."""
        selected, span = case.selected(self._dataset), case.span(self._dataset)
        count_units, count_trips = self._scan(span.start, span.stop)
        pages = []
        for offset in offsets:
            last = offset + LIMIT
            # It ends with the last recording of the page, or has read everything.
            begin = selected[last - 1] if last <= len(selected) else span.start
            units, trips = self._scan(begin, span.stop)
            # The count and the page do not wait for one another.
            pages.append(PageCost(offset, count_units + units, max(count_trips, trips), count_trips + trips, 0))
        return CaseCost(case, len(selected), pages)

    def _scan(self, begin: int, end: int) -> tuple[float, int]:
        """Return units and requests of reading the recordings from the newest (`end`, excluded) to `begin`."""
        units, requests = 0.0, 0
        while True:
            # As many as fit into a page.
            start = max(begin, bisect_left(self._sums, self._sums[end] - self._page_bytes))
            units += read_units([self._sums[end] - self._sums[start]], consistent=True)
            requests, end = requests + 1, start
            if end <= begin:
                return units, requests
