"""Compute what a month costs and which quota is met first, at 1,000 to 10,000,000 recordings a month."""

import argparse
import sys

from tools.bench.cost.measured import Measured
from tools.bench.cost.prices import read_prices
from tools.bench.cost.report import NoPlace, blocks, outdated, write


def main() -> int:
    """Return 1 if a document shows other figures and they are not written."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m tools.bench.cost", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables of docs/costs.md and docs/scale.md")
    arguments = parser.parse_args()
    tables = blocks(read_prices(), Measured.committed())
    try:
        if arguments.write:
            write(tables)
            return 0
        print("\n\n".join(tables.values()))
        changed = outdated(tables)
    except NoPlace as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if changed:
        print(f"\nThe documents show other figures: {', '.join(changed)}. --write writes them.", file=sys.stderr)
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
