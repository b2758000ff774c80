"""The tables and pictures of the results."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.bench.lists import charts
from tools.bench.lists.cases import LIMIT
from tools.bench.lists.charts import Point, number
from tools.bench.lists.measure import CaseCost
from tools.bench.lists.postgres import BLOCK_BYTES
from tools.bench.lists.results import MAX_UNITS, LayoutCosts, SizeResult
from tools.bench.units import READ_UNIT_BYTES

BEGIN: Final = "<!-- Written by `make bench-list WRITE=1`. -->"
END: Final = "<!-- End of what `make bench-list` writes. -->"
ROWS, DAYS, PLAIN, POSTGRES = "rows and tallies", "day tallies (before)", "query and skip", "PostgreSQL"
NO_FILTER: Final = "no filter"


def by_size(results: Sequence[SizeResult]) -> list[str]:
    """Return the worst and the median page of all filters, for each size and each way."""
    head = f"{'':>9}  {ROWS:^33}  {DAYS:^21}  {PLAIN:^15}"
    columns = (
        f"{'live':>9}  {'median':>6} {'worst':>5} {'trips':>5} {'ms CPU':>6} {'/ get':>6}"
        f"  {'median':>6} {'worst':>6} {'trips':>5}   {'worst':>7} {'trips':>6}"
    )
    with_postgres = any(result.postgres for result in results)
    if with_postgres:
        head += f"  {POSTGRES:^15}"
        columns += f"  {'8 KB':>7} {'ms':>7}"
    lines = [head.rstrip(), columns]
    for result in results:
        rows, days, plain = result.rows, result.days, result.plain
        ratio = rows.median_cpu_ms / rows.get_ms if rows.get_ms else 0
        line = (
            f"{result.live:>9}  {number(rows.median_units):>6} {number(rows.worst_units):>5} {rows.worst_trips:>5}"
            f" {rows.median_cpu_ms:>6.1f} {ratio:>6.1f}"
            f"  {number(days.median_units):>6} {number(days.worst_units):>6} {days.worst_trips:>5}"
            f"   {number(plain.worst_units):>7} {plain.worst_trips:>6}"
        )
        if result.postgres:
            pages = max(cost.worst_pages for cost in result.postgres.values())
            milliseconds = max(cost.worst_milliseconds for cost in result.postgres.values())
            line += f"  {number(pages):>7} {milliseconds:>7.1f}"
        lines.append(line)
    return lines


def by_case(result: SizeResult) -> list[str]:
    """Return each filter of one size: its worst page in each way."""
    columns = (
        f"{'filter':<32} {'total':>8}  {'median':>6} {'worst':>5} {'trips':>5} {'ms CPU':>6}"
        f"  {'before':>7} {'trips':>5}  {'skip':>7}"
    )
    if result.postgres:
        columns += f"  {'8 KB':>7} {'ms':>7}"
    lines = [columns]
    for cost in result.rows.cases:
        name = cost.case.name
        before, skip = result.days.case(name), result.plain.case(name)
        line = (
            f"{name:<32} {cost.total:>8}  {number(cost.median_units):>6} {number(cost.worst_units):>5}"
            f" {cost.worst_trips:>5} {cost.median_cpu_ms:>6.1f}  {number(before.worst_units):>7}"
            f" {before.worst_trips:>5}  {number(skip.worst_units):>7}"
        )
        if result.postgres:
            postgres = result.postgres[name]
            line += f"  {number(postgres.worst_pages):>7} {postgres.worst_milliseconds:>7.1f}"
        lines.append(line)
    return lines


def block(results: Sequence[SizeResult], settings: Sequence[str]) -> str:
    """Return what stands in docs/figures.md."""
    largest = max(results, key=lambda one: one.live)
    return "\n".join(
        [
            f"Pages of {LIMIT}, over all filters of the second table: {'; '.join(settings)}.",
            "",
            "```text",
            *by_size(results),
            "```",
            "",
            f"Of {largest.live:,} recordings, by filter. `before` and `skip` are the worst pages of the other two.",
            "",
            "```text",
            *by_case(largest),
            "```",
            "",
            *(f"![{text}](pictures/{name}.svg)" for name, (text, _) in pictures(results).items()),
        ]
    )


def write(path: Path, text: str) -> None:
    """Put the text between the two markers of a file. Raises ValueError when it has none."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the tables")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def pictures(results: Sequence[SizeResult]) -> Mapping[str, tuple[str, str]]:
    """Return pictures by their names: a sentence that describes each, and its SVG."""
    largest = max(results, key=lambda one: one.live)
    found = {
        "list-by-offset": (
            f"Read units of a page by its offset, among {largest.live:,} recordings without a filter.",
            charts.line_chart(
                f"Read units of a page by its offset ({largest.live:,} recordings, no filter)",
                _by_offset(largest),
                x_label="offset",
                y_label="read units",
                x_logarithmic=False,
                limit=(f"limit: {MAX_UNITS}", MAX_UNITS),
            ),
        ),
        "list-by-filter": (
            f"Read units of the worst page of each filter, among {largest.live:,} recordings.",
            charts.bar_chart(
                f"Worst page of each filter ({largest.live:,} recordings)",
                [cost.case.name for cost in largest.rows.cases],
                _by_filter(largest),
                x_label="read units; for PostgreSQL, what its pages would be in units of 4 KB",
            ),
        ),
    }
    if len(results) > 1:
        found["list-by-size"] = (
            "Read units of the worst page of all filters, by the number of recordings.",
            charts.line_chart(
                "Worst page of all filters by the number of recordings",
                _by_size(results),
                x_label="recordings",
                y_label="read units",
                x_logarithmic=True,
                limit=(f"limit: {MAX_UNITS}", MAX_UNITS),
            ),
        )
    return found


def _by_size(results: Sequence[SizeResult]) -> dict[str, list[Point]]:
    series = {
        name: [Point(one.live, costs(one).worst_units) for one in results]
        for name, costs in ((ROWS, _rows), (DAYS, _days), (PLAIN, _plain))
    }
    if all(result.postgres for result in results):
        series[f"{POSTGRES} (4 KB)"] = [
            Point(one.live, max(_as_units(cost.worst_pages) for cost in one.postgres.values())) for one in results
        ]
    return series


def _by_offset(result: SizeResult) -> dict[str, list[Point]]:
    series = {
        name: list(_points(costs.case(NO_FILTER)))
        for name, costs in ((ROWS, result.rows), (DAYS, result.days), (PLAIN, result.plain))
    }
    if result.postgres:
        queries = result.postgres[NO_FILTER].queries
        series[f"{POSTGRES} (4 KB)"] = [Point(one.offset, _as_units(one.pages)) for one in queries]
    return series


def _by_filter(result: SizeResult) -> dict[str, list[float]]:
    names = [cost.case.name for cost in result.rows.cases]
    series = {
        name: [costs.case(one).worst_units for one in names]
        for name, costs in ((ROWS, result.rows), (DAYS, result.days), (PLAIN, result.plain))
    }
    if result.postgres:
        series[f"{POSTGRES} (4 KB)"] = [_as_units(result.postgres[one].worst_pages) for one in names]
    return series


def _points(cost: CaseCost) -> Iterator[Point]:
    return (Point(page.offset, page.units) for page in cost.pages if page.offset is not None)


def _as_units(pages: int) -> float:
    return pages * BLOCK_BYTES / READ_UNIT_BYTES


def _rows(result: SizeResult) -> LayoutCosts:
    return result.rows


def _days(result: SizeResult) -> LayoutCosts:
    return result.days


def _plain(result: SizeResult) -> LayoutCosts:
    return result.plain
