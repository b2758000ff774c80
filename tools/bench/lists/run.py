"""Measure everything, print it, and say which bars do not hold."""

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from tools.bench.dynamodb.table import MemoryTable
from tools.bench.lists import ROOT, handlers, postgres, report
from tools.bench.lists.cases import RANDOM_OFFSETS, Case, all_cases, offsets
from tools.bench.lists.data import Dataset, generate
from tools.bench.lists.layouts import day_table, row_table
from tools.bench.lists.measure import WrongPage, measure_case, measure_get, warm_up
from tools.bench.lists.plain import Plain
from tools.bench.lists.postgres import PostgresCost, PostgresMissing
from tools.bench.lists.results import LayoutCosts, SizeResult, missed_bars

SIZES: Final = (1000, 10_000, 100_000, 1_000_000)
# The other ways are slow, and their worst pages are known: only pages without a filter are read as often.
OTHER_RANDOM_OFFSETS: Final = 4


def main() -> int:
    """Measure and print; 1 if a page is wrong, a bar does not hold or PostgreSQL is missing."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.lists", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many recordings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the recordings (default: %(default)s)")
    parser.add_argument("--without-postgres", action="store_true", help="leave PostgreSQL out of the comparison")
    parser.add_argument("--write", action="store_true", help="write docs/figures.md and the pictures")
    args = parser.parse_args()
    try:
        sizes = [int(size) for size in args.sizes.split(",")]
    except ValueError:
        parser.error("--sizes takes numbers with commas between them")
    if min(sizes) < 1000:
        parser.error("--sizes: at least 1000 recordings, so that every filter selects some")
    try:
        version = None if args.without_postgres else postgres.version()
        results = [measure_size(size, args.seed, with_postgres=version is not None) for size in sizes]
    except (PostgresMissing, WrongPage, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    settings = [f"seed {args.seed}", f"Python {sys.version.split()[0]}", version or "without PostgreSQL"]
    text = report.block(results, settings)
    print(text)
    if args.write:
        report.write(ROOT / "docs/figures.md", text)
        for name, (_, picture) in report.pictures(results).items():
            (ROOT / f"docs/pictures/{name}.svg").write_text(picture)
    missed = list(missed_bars(results))
    for sentence in missed:
        print(f"missed: {sentence}", file=sys.stderr)
    return 1 if missed else 0


def measure_size(live: int, seed: int, *, with_postgres: bool) -> SizeResult:
    """Measure one dataset in each way."""
    dataset = generate(live, seed=seed)
    cases = all_cases(dataset)
    # A collection during a request would go through the whole dataset.
    gc.collect()
    gc.freeze()
    _say(live, "rows and tallies")
    rows = _measure(row_table(dataset), dataset, cases, RANDOM_OFFSETS)
    _say(live, "day tallies")
    days = _measure(day_table(dataset), dataset, cases, OTHER_RANDOM_OFFSETS)
    _say(live, "query and skip")
    plain = Plain(dataset)
    skipped = [plain.measure(case, _offsets(dataset, case, OTHER_RANDOM_OFFSETS)) for case in cases]
    return SizeResult(
        live, rows, days, LayoutCosts(skipped), _measure_postgres(live, dataset, cases) if with_postgres else {}
    )


def _measure(table: MemoryTable, dataset: Dataset, cases: Sequence[Case], random_offsets: int) -> LayoutCosts:
    with handlers.serving(table):
        warm_up(table, dataset)
        costs = [measure_case(table, dataset, case, random_offsets=_count(case, random_offsets)) for case in cases]
        return LayoutCosts(costs, measure_get(table, dataset))


def _measure_postgres(live: int, dataset: Dataset, cases: Sequence[Case]) -> dict[str, PostgresCost]:
    _say(live, "PostgreSQL")
    with postgres.running() as server:
        server.load(dataset)
        totals = [len(case.selected(dataset)) for case in cases]
        if (counted := server.counts(cases)) != totals:
            raise WrongPage(f"PostgreSQL counts {counted} instead of {totals}")
        return {
            case.name: server.measure(case, total, random_offsets=OTHER_RANDOM_OFFSETS)
            for case, total in zip(cases, totals, strict=True)
        }


def _offsets(dataset: Dataset, case: Case, random_offsets: int) -> list[int]:
    return offsets(len(case.selected(dataset)), case.name, count=_count(case, random_offsets))


def _count(case: Case, random_offsets: int) -> int:
    return RANDOM_OFFSETS if case.name == report.NO_FILTER else random_offsets


def _say(live: int, what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {live:,} recordings: {what}", file=sys.stderr, flush=True)
