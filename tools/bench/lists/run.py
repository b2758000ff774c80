"""Measure everything, print it, and say which bars do not hold."""

import argparse
import gc
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from tools.bench.dynamodb.table import MemoryTable
from tools.bench.lists import ROOT, handlers, postgres, report
from tools.bench.lists.cases import WALKED_PAGES, Case, all_cases, few_offsets, offsets
from tools.bench.lists.data import Dataset, generate
from tools.bench.lists.layouts import BUSY_PARTS, day_table, row_table
from tools.bench.lists.measure import WrongPage, measure_case, measure_get, warm_up
from tools.bench.lists.plain import Plain
from tools.bench.lists.postgres import PostgresCost, PostgresMissing
from tools.bench.lists.results import LayoutCosts, SizeResult, missed_bars

SIZES: Final = (1000, 10_000, 100_000, 1_000_000)
# The other ways are slow, and their costs are known: a few pages of each filter show them.
FEW: Final = 2
# Without a filter they are drawn by the offset.
DRAWN: Final = 20


def main() -> int:
    """Measure and print; 1 if a page is wrong, a bar does not hold or PostgreSQL is missing."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.lists", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many recordings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the recordings (default: %(default)s)")
    parser.add_argument(
        "--parts", type=int, default=BUSY_PARTS, help="items of a tenant's tally of a busy time (default: %(default)s)"
    )
    parser.add_argument("--without-postgres", action="store_true", help="leave PostgreSQL out of the comparison")
    parser.add_argument("--write", action="store_true", help="write docs/figures.md and the pictures")
    args = parser.parse_args()
    try:
        sizes = [int(size) for size in args.sizes.split(",")]
    except ValueError:
        parser.error("--sizes takes numbers with commas between them")
    if min(sizes) < 1000:
        parser.error("--sizes: at least 1000 recordings, so that every filter selects some")
    # Ended from outside, it stops the server and removes its files all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        version = None if args.without_postgres else postgres.version()
        results = [measure_size(size, args.seed, parts=args.parts, with_postgres=version is not None) for size in sizes]
    except (PostgresMissing, WrongPage, subprocess.SubprocessError) as error:
        print(f"error: {error}", getattr(error, "stderr", None) or "", file=sys.stderr)
        return 1
    settings = [
        f"seed {args.seed}",
        f"busy tallies in {args.parts} parts",
        f"Python {sys.version.split()[0]}",
        version or "without PostgreSQL",
    ]
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


def measure_size(live: int, seed: int, *, parts: int, with_postgres: bool) -> SizeResult:
    """Measure one dataset in each way."""
    dataset = generate(live, seed=seed)
    cases = all_cases(dataset)
    # A collection during a request would go through the whole dataset.
    gc.collect()
    gc.freeze()
    few = [few_offsets(len(case.selected(dataset)), case.name, count=_few(case)) for case in cases]
    _say(live, "rows and tallies")
    all_offsets = [offsets(len(case.selected(dataset)), case.name) for case in cases]
    rows = _measure(row_table(dataset, parts=parts), dataset, cases, all_offsets, walked_pages=WALKED_PAGES)
    _say(live, "day tallies")
    days = _measure(day_table(dataset), dataset, cases, few, walked_pages=0)
    _say(live, "query and skip")
    plain = Plain(dataset)
    skipped = [plain.measure(case, wanted) for case, wanted in zip(cases, few, strict=True)]
    compared = _measure_postgres(live, dataset, cases, few) if with_postgres else {}
    return SizeResult(live, rows, days, LayoutCosts(skipped), compared)


def _measure(
    table: MemoryTable, dataset: Dataset, cases: Sequence[Case], wanted: Sequence[Sequence[int]], *, walked_pages: int
) -> LayoutCosts:
    with handlers.serving(table):
        warm_up(table, dataset)
        costs = [
            measure_case(table, dataset, case, wanted=one, walked_pages=walked_pages)
            for case, one in zip(cases, wanted, strict=True)
        ]
        return LayoutCosts(costs, measure_get(table, dataset))


def _measure_postgres(
    live: int, dataset: Dataset, cases: Sequence[Case], wanted: Sequence[Sequence[int]]
) -> dict[str, PostgresCost]:
    _say(live, "PostgreSQL")
    with postgres.running() as server:
        server.load(dataset)
        totals = [len(case.selected(dataset)) for case in cases]
        if (counted := server.counts(cases)) != totals:
            raise WrongPage(f"PostgreSQL counts {counted} instead of {totals}")
        return {case.name: server.measure(case, one) for case, one in zip(cases, wanted, strict=True)}


def _few(case: Case) -> int:
    """Return how many random offsets of a filter are read in the other ways."""
    return DRAWN if case.name == report.NO_FILTER else FEW


def _say(live: int, what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {live:,} recordings: {what}", file=sys.stderr, flush=True)
