"""What was measured, and the bars that must hold."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tools.bench.lists.measure import CaseCost
from tools.bench.lists.postgres import PostgresCost

MAX_UNITS: Final = 25
MAX_TRIPS: Final = 4
# Of all pages of a dataset.
MAX_MEDIAN_UNITS: Final = 12
# From the smallest dataset to the largest.
MAX_GROWTH: Final = 3
# One of the two must hold: the first depends on the machine.
MAX_CPU_MS: Final = 15
MAX_CPU_RATIO: Final = 8


@dataclass(frozen=True, slots=True)
class LayoutCosts:
    """All pages of one way to read them. `get_ms` is the CPU of GetRecording in the same run."""

    cases: Sequence[CaseCost]
    get_ms: float = 0

    @property
    def worst_units(self) -> float:
        return max(case.worst_units for case in self.cases)

    @property
    def median_units(self) -> float:
        return statistics.median(page.units for case in self.cases for page in case.pages)

    @property
    def worst_trips(self) -> int:
        return max(case.worst_trips for case in self.cases)

    @property
    def median_cpu_ms(self) -> float:
        return statistics.median(page.cpu_seconds for case in self.cases for page in case.pages) * 1000

    @property
    def slowest_case_ms(self) -> float:
        """The median CPU of the filter that takes the most."""
        return max(case.median_cpu_ms for case in self.cases)

    def case(self, name: str) -> CaseCost:
        return next(one for one in self.cases if one.case.name == name)


@dataclass(frozen=True, slots=True)
class SizeResult:
    """One dataset, read in each way. `postgres` is empty if it was left out."""

    live: int
    rows: LayoutCosts
    days: LayoutCosts
    plain: LayoutCosts
    postgres: Mapping[str, PostgresCost] = field(default_factory=dict)


def missed_bars(results: Sequence[SizeResult]) -> Iterator[str]:
    """Return a sentence for each bar that does not hold."""
    for result in results:
        for cost in result.rows.cases:
            if cost.worst_units > MAX_UNITS:
                yield f"{result.live:,}, {cost.case.name}: {cost.worst_units:g} read units, the limit is {MAX_UNITS}"
            if cost.worst_trips > MAX_TRIPS:
                yield f"{result.live:,}, {cost.case.name}: {cost.worst_trips} trips, the limit is {MAX_TRIPS}"
        if result.rows.median_units > MAX_MEDIAN_UNITS:
            median = result.rows.median_units
            yield f"{result.live:,}: a median of {median:g} read units, the limit is {MAX_MEDIAN_UNITS}"
        slowest, get = result.rows.slowest_case_ms, result.rows.get_ms
        if slowest > MAX_CPU_MS and slowest > MAX_CPU_RATIO * get:
            yield (
                f"{result.live:,}: {slowest:.1f} ms of CPU for a list, {get:.1f} ms for a get;"
                f" the limit is {MAX_CPU_MS} ms or {MAX_CPU_RATIO} x"
            )
    yield from _grown(results)


def _grown(results: Sequence[SizeResult]) -> Iterator[str]:
    smallest, largest = min(results, key=lambda one: one.live), max(results, key=lambda one: one.live)
    for name, before, after in (
        ("worst", smallest.rows.worst_units, largest.rows.worst_units),
        ("median", smallest.rows.median_units, largest.rows.median_units),
    ):
        if after >= MAX_GROWTH * before and smallest is not largest:
            yield (
                f"the {name} page costs {before:g} read units at {smallest.live:,} and {after:g} at {largest.live:,},"
                f" which is not less than {MAX_GROWTH} x"
            )
