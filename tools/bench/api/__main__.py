"""Measure what each function costs, and compare it with the committed table."""

import argparse
import sys
from pathlib import Path

LAYER = str(Path(__file__).parents[3] / "layers/recordings")
if LAYER not in sys.path:
    # The layer is on the path in Lambda and in pytest.
    sys.path.insert(0, LAYER)

import tests.conftest  # noqa: E402, F401  the environment of the functions, before any of them is imported
from tools.bench.api.bench import BenchError  # noqa: E402
from tools.bench.api.costs import accept, committed, differences, measure  # noqa: E402
from tools.bench.api.report import NoPlace, table_lines, write_figures  # noqa: E402


def main() -> int:
    """Return 1 if a cost differs and was not accepted."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m tools.bench.api", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="warm runs; the fastest counts (default: 7)")
    parser.add_argument("--accept", action="store_true", help="write tests/data/api_costs.json and docs/figures.md")
    arguments = parser.parse_args()
    try:
        measured = measure(arguments.runs)
        print("\n".join(table_lines(measured)))
        print(f"\nCPU is that of GetRecording, {measured.unit_ms:.1f} ms here, taken as 1.")
        changed = differences(committed(), measured.table)
        print("\n".join(["", *changed]) if changed else "\nAs tests/data/api_costs.json says.")
        if arguments.accept:
            accept(measured.table)
            write_figures(measured)
    except (BenchError, NoPlace) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if changed and not arguments.accept:
        print("\nmake bench-api ACCEPT=1 accepts these costs.")
    return int(bool(changed) and not arguments.accept)


if __name__ == "__main__":
    sys.exit(main())
