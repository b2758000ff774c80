"""The table of costs in docs/figures.md."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.template import ROOT
from tools.bench.api.costs import STORED, Measured, Table

FIGURES: Final = ROOT / "docs/figures.md"
BEGIN: Final = "<!-- make bench-api ACCEPT=1 writes what follows -->"
END: Final = "<!-- end of make bench-api -->"
HEADER: Final = (
    f"{'function':24} {'case':28} {'read':>5} {'write':>5} {'trips':>5} {'table':>5}  {'CPU':>5}  other calls"
)


class NoPlace(Exception):
    """The document has no place for the table."""


def table_lines(measured: Measured) -> Iterator[str]:
    """Iterate over the lines of the table."""
    yield HEADER
    for function, cases in measured.table.items():
        if function == STORED:
            continue
        for number, (case, row) in enumerate(cases.items()):
            name = function if number == 0 else ""
            cpu = measured.cpu[function, case]
            yield (
                f"{name:24} {case:28} {row['read_units']:5g} {row['write_units']:5} {row['trips']:5}"
                f" {_to_table(row):5}  {cpu:5.1f}  {_others(row)}"
            ).rstrip()


def _to_table(row: Mapping[str, Any]) -> int:
    return sum(times for call, times in row["calls"].items() if call.startswith("dynamodb."))


def _others(row: Mapping[str, Any]) -> str:
    calls = {call: times for call, times in row["calls"].items() if not call.startswith("dynamodb.")}
    return ", ".join(call if times == 1 else f"{times} {call}" for call, times in calls.items())


def written(document: str, measured: Measured) -> str:
    """Return the document with this table in its place. Raises NoPlace."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlace(f"docs/figures.md must contain {BEGIN!r} and {END!r}")
    lines = "\n".join(table_lines(measured))
    return f"{before}{BEGIN}\n\n```text\n{lines}\n```\n\n{END}{after}"


def in_figures(table: Table, document: str) -> list[str]:
    """Return the functions that the document's table does not show with these numbers."""
    unit = Measured(table, {(function, case): 0.0 for function, cases in table.items() for case in cases}, 0.0)
    _, _, rest = document.partition(BEGIN)
    shown = [_without_cpu(line) for line in rest.partition(END)[0].splitlines()]
    return [line for line in table_lines(unit) if _without_cpu(line) not in shown]


def _without_cpu(line: str) -> str:
    at = HEADER.index("  other calls")
    return line[: at - 5].rstrip() + line[at:]


def write_figures(measured: Measured, path: Path = FIGURES) -> None:
    """Put the table into docs/figures.md."""
    path.write_text(written(path.read_text(), measured))
