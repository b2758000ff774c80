"""Measure copies beside rclone's, and compute what a transfer costs. Exits with 1 if a bar is missed."""

import argparse
import math
import os
import platform
import statistics
import sys
from typing import Final

from tools.bench.transfer import cost, rclone
from tools.bench.transfer.engine import Engine
from tools.bench.transfer.errors import BenchError, Failed
from tools.bench.transfer.local import NAME, control, count_a_run
from tools.bench.transfer.measure import Measured, bars, measure, peak_memory, table
from tools.local import progress, stack

MIB: Final = 1024 * 1024
TURNS: Final = 5
LARGE_GB: Final = 5


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.bench.transfer", description=(__doc__ or "").split("\n")[0]
    )
    top.add_argument("--size-mb", type=int, default=1024, help="MiB of the recording (default: 1024)")
    top.add_argument("--turns", type=int, default=TURNS, help=f"counted copies of each (default: {TURNS})")
    top.add_argument("--large-gb", type=int, default=LARGE_GB, help=f"GB of the large file (default: {LARGE_GB})")
    top.add_argument(
        "--r2-class-a", type=float, default=cost.CLASS_A_PRICE, help="USD a million (default: as in prices.toml)"
    )
    top.add_argument(
        "--r2-class-b", type=float, default=cost.CLASS_B_PRICE, help="USD a million (default: as in prices.toml)"
    )
    top.add_argument("--lambda-gb-second", type=float, help="USD for a GB-second; no default: it differs by region")
    top.add_argument("--transitions", type=float, help="USD for a thousand Step Functions transitions; no default")
    top.add_argument("--dynamodb-writes", type=float, help="USD for a million DynamoDB write units; no default")
    return top


def main() -> int:
    """Measure and print. Return the exit status."""
    top = parser()
    args = top.parse_args()
    if args.size_mb < 32 or args.turns < 1:
        top.error("--size-mb must be at least 32 (smaller files have no parts), --turns at least 1")
    prices = cost.Prices(
        args.r2_class_a, args.r2_class_b, args.lambda_gb_second, args.transitions, args.dynamodb_writes
    )
    try:
        if sys.platform != "linux":
            raise BenchError("the memory of a process is read as Linux shows it: run this on Linux")
        rclone.find()
        return report(args.size_mb * MIB, args.turns, args.large_gb * cost.GB, prices)
    except (BenchError, Failed, stack.StackError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def report(size: int, turns: int, large: int, prices: cost.Prices) -> int:
    """Bring the stack up, measure, print the tables and the bars. Return 1 if a bar is missed."""
    with progress.shown():
        running = stack.up(NAME)
    try:
        control(running, "/settings", {"own_bucket": "ignore"})
        transitions = count_a_run(running)
        measured = [measure(running, scheme, size, turns) for scheme in ("http", "TLS")]
        memory = peak_memory(running, large)
        with Engine(running) as engine:
            shapes = engine.call("shapes", [gigabytes * cost.GB for gigabytes in cost.SIZES_GB]).value
    finally:
        stack.down(NAME)
    plan = measured[-1].last.plan
    print(
        f"A file of {size / MIB:.0f} MiB from a local server into a bucket that throws it away, in parts of"
        f" {plan['part_size'] / MIB:.0f} MiB\nPython {platform.python_version()}, {rclone.version(rclone.find())},"
        f" {os.cpu_count()} processors, {turns} turns after one to warm up\n"
    )
    for one in measured:
        print(f"{table(one)}\n")
    limits = [bar for one in measured for bar in bars(one)] + [memory]
    print("\n".join(str(bar) for bar in limits))
    print_costs(measured[-1], transitions, shapes, prices)
    return 0 if all(bar.is_met for bar in limits) else 1


def print_costs(measured: Measured, transitions: int, shapes: list[tuple[int, int]], prices: cost.Prices) -> None:
    """Print what transfers of some sizes cost at the rate that was measured."""
    plan = measured.last.plan
    counted = cost.Counted(
        {**measured.last.tasks, "others": measured.calls},
        transitions,
        math.ceil(plan["size"] / plan["part_size"]),
        len(plan["segments"]),
        cost.memory_of("CopySegment"),
    )
    rate = statistics.median(turn.size / turn.engine.seconds for turn in measured.turns)
    costs = [
        cost.cost(counted, gigabytes * cost.GB, part_size, segments, rate)
        for gigabytes, (part_size, segments) in zip(cost.SIZES_GB, shapes, strict=True)
    ]
    print(f"\nWhat a transfer needs: CopySegment has {counted.memory_mb} MB, a run enters {transitions} states and one")
    print("for each segment\n")
    print(cost.cost_table(costs, prices, rate))
    print(f"\nR2 takes USD {prices.class_a} and {prices.class_b} for a million operations of class A and B.")


if __name__ == "__main__":
    sys.exit(main())
