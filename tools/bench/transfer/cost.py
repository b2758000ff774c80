"""What a transfer costs, computed from what one copy needed, counted call by call.

parts          ceil(size / part size), segments ceil(parts / parts of a segment): what the workflow plans
GB-seconds     MemorySize of CopySegment / 1024 * size / throughput; its time alone, the other tasks take moments
transitions    states that a real run entered, other than CopySegment, + segments; a wait for Cloudflare's upload
               adds its own
calls          of each task, as counted: UploadPart per part; the other calls of CopySegment per segment; ListParts
               once more for each 1,000 parts; all else as often as in the run, whatever the size
DynamoDB       write units of items up to 1 KB: a write is one, also in a batch, in a transaction two; checksums per
               part, the budget of calls to Cloudflare per segment, all else as often as in the run
USD            calls / 1,000,000 * price of a million, and so on; R2 asks nothing for what leaves it
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tools.bench.cost.prices import R2_CLASS_A, R2_CLASS_B, read_prices
from tools.bench.transfer.errors import BenchError
from tools.local import stack
from tools.local import template as sam

GB: Final = 1_000_000_000
SIZES_GB: Final = (1, 10, 50)
SLOW: Final = 20_000_000
# USD for a million.
CLASS_A_PRICE: Final = read_prices()["r2_class_a"].usd
CLASS_B_PRICE: Final = read_prices()["r2_class_b"].usd
WRITES: Final = {"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "BatchedItem": 1, "TransactedItem": 2}


@dataclass(frozen=True, slots=True)
class Counted:
    """What one transfer needed: calls by task, states entered other than CopySegment, its parts and segments."""

    tasks: Mapping[str, Counter[str]]
    transitions: int
    parts: int
    segments: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a transfer of `size` bytes needs; `gb_seconds` at the measured and at a slow rate."""

    size: int
    parts: int
    segments: int
    gb_seconds: float
    slow_gb_seconds: float
    transitions: int
    class_a: int
    class_b: int
    writes: int


def pages(parts: int) -> int:
    """How many calls list so many parts."""
    return max(1, math.ceil(parts / 1000))


def scaled(counted: Counted, parts: int, segments: int) -> Counter[str]:
    """The calls of a transfer of so many parts and segments, from those of the one that was counted."""
    total: Counter[str] = Counter()
    for task, calls in counted.tasks.items():
        for call, times in calls.items():
            operation = call.partition(".")[2]
            if call in ("s3.UploadPart", "dynamodb.BatchedItem") and task == "copy":
                total[call] += round(times * parts / counted.parts)
                continue
            # What a task of a segment does goes with the segments; a listing also with the pages it takes.
            grows = segments / counted.segments if task == "copy" else 1.0
            if operation == "ListParts":
                grows *= pages(parts) / pages(counted.parts)
            total[call] += round(times * grows)
    return total


def cost(counted: Counted, size: int, part_size: int, segments: int, rate: float) -> Cost:
    """What a transfer of `size` bytes needs at `rate` bytes a second."""
    parts = max(1, math.ceil(size / part_size))
    calls = scaled(counted, parts, segments)
    s3 = {call.removeprefix("s3."): times for call, times in calls.items() if call.startswith("s3.")}
    unknown = s3.keys() - R2_CLASS_A - R2_CLASS_B - {"AbortMultipartUpload", "DeleteObject"}
    if unknown:
        raise BenchError(
            f"the price class of {', '.join(sorted(unknown))} is not known here: add it to tools/bench/cost/prices.py"
        )
    memory_gb = counted.memory_mb / 1024
    return Cost(
        size,
        parts,
        segments,
        memory_gb * size / rate,
        memory_gb * size / SLOW,
        counted.transitions + segments,
        sum(times for name, times in s3.items() if name in R2_CLASS_A),
        sum(times for name, times in s3.items() if name in R2_CLASS_B),
        sum(calls[f"dynamodb.{name}"] * units for name, units in WRITES.items()),
    )


@dataclass(frozen=True, slots=True)
class Prices:
    """USD: R2's for a million operations; AWS's per GB-second, for a thousand transitions, a million write units."""

    class_a: float = CLASS_A_PRICE
    class_b: float = CLASS_B_PRICE
    gb_second: float | None = None
    thousand_transitions: float | None = None
    million_writes: float | None = None

    def r2(self, one: Cost) -> float:
        return (one.class_a * self.class_a + one.class_b * self.class_b) / 1_000_000

    def aws(self, one: Cost) -> float | None:
        """None unless all three prices are known."""
        if self.gb_second is None or self.thousand_transitions is None or self.million_writes is None:
            return None
        return (
            one.gb_seconds * self.gb_second
            + one.transitions * self.thousand_transitions / 1000
            + one.writes * self.million_writes / 1_000_000
        )


def memory_of(function: str) -> int:
    """MB that the template gives a function."""
    template = sam.read(stack.ROOT / "template.yaml")
    own = template["Resources"][function]["Properties"].get("MemorySize")
    return int(own or template["Globals"]["Function"]["MemorySize"])


def cost_table(costs: Sequence[Cost], prices: Prices, rate: float) -> str:
    """The costs, a column for each size."""
    rows: list[tuple[str, list[str]]] = [
        ("recording", [f"{one.size / GB:.0f} GB" for one in costs]),
        ("parts / segments", [f"{one.parts} / {one.segments}" for one in costs]),
        (f"Lambda GB-seconds at {rate / 1e6:.0f} MB/s", [f"{one.gb_seconds:.0f}" for one in costs]),
        (f"Lambda GB-seconds at {SLOW / 1e6:.0f} MB/s", [f"{one.slow_gb_seconds:.0f}" for one in costs]),
        ("Step Functions transitions", [f"{one.transitions}" for one in costs]),
        ("R2 class A operations", [f"{one.class_a}" for one in costs]),
        ("R2 class B operations", [f"{one.class_b}" for one in costs]),
        ("DynamoDB write units", [f"{one.writes}" for one in costs]),
        ("R2 operations, USD", [f"{prices.r2(one):.5f}" for one in costs]),
    ]
    aws = [prices.aws(one) for one in costs]
    if all(one is not None for one in aws):
        rows.append(("AWS, USD", [f"{one:.5f}" for one in aws]))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}" + "".join(f"{value:>12}" for value in values) for name, values in rows)
