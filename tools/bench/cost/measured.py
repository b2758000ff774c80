"""What each function costs, from the tables that are committed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from tools.local import template as sam

ROOT: Final = Path(__file__).parents[3]
COSTS: Final = ROOT / "tests/data/api_costs.json"
FIGURES: Final = ROOT / "docs/figures.md"
# The cases of a transfer of so many parts, and what one part more costs follows from their difference.
FEW_PARTS: Final = (4, "4 parts")
MORE_PARTS: Final = (6, "6 parts")
# GetRecording's processor time, of which others' are multiples (docs/figures.md).
UNIT_CPU_MS: Final = 2.5
# A function has a whole processor from this memory on (Lambda Developer Guide, "Configure Lambda function memory").
WHOLE_PROCESSOR_MB: Final = 1769
# How long a call of a service takes: assumed, about what they take within a region, and from there to Cloudflare.
CALL_MS: Final[Mapping[str, float]] = {
    "dynamodb": 6,
    "cloudflare": 150,
    "r2": 60,
    "s3": 40,
    "stepfunctions": 40,
    "events": 20,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What one call of a function costs: capacity units, calls by service and operation, calls in sequence, its CPU."""

    function: str
    read_units: float = 0
    write_units: float = 0
    trips: float = 0
    calls: Mapping[str, float] = field(default_factory=dict)
    cpu_ms: float = 0

    @property
    def waiting_ms(self) -> float:
        """How long it waits for its calls."""
        total = sum(self.calls.values())
        if not total:
            return 0
        mean = sum(times * CALL_MS[call.partition(".")[0]] for call, times in self.calls.items()) / total
        return self.trips * mean

    def plus(self, other: Self, times: float) -> Self:
        """Return this row and `times` the difference to another."""
        return type(self)(
            self.function,
            self.read_units + times * (other.read_units - self.read_units),
            self.write_units + times * (other.write_units - self.write_units),
            self.trips + times * (other.trips - self.trips),
            {
                call: self.calls.get(call, 0) + times * (other.calls.get(call, 0) - self.calls.get(call, 0))
                for call in {**self.calls, **other.calls}
            },
            self.cpu_ms + times * (other.cpu_ms - self.cpu_ms),
        )


class Measured:
    """The committed tables, read once."""

    def __init__(self, costs: Mapping[str, Any], figures: str) -> None:
        self._costs = costs
        self._cpu = dict(_cpu_of(figures))

    @classmethod
    def committed(cls) -> Self:
        return cls(json.loads(COSTS.read_text()), FIGURES.read_text())

    def row(self, function: str, case: str = "") -> Row:
        """Return what one case costs. Raises KeyError if it was not measured."""
        found = self._costs[function][case]
        return Row(
            function,
            found["read_units"],
            found["write_units"],
            found["trips"],
            found["calls"],
            self._cpu[function, case] * UNIT_CPU_MS,
        )

    def of_parts(self, function: str, parts: int) -> Row:
        """Return what a function costs for a file of so many parts, which is copied."""
        (few, few_case), (more, more_case) = FEW_PARTS, MORE_PARTS
        times = (parts - few) / (more - few)
        return self.row(function, few_case).plus(self.row(function, more_case), times)

    @property
    def recording_bytes(self) -> int:
        """What one recording occupies in the table."""
        return int(self._costs["Stored"]["a recording"]["bytes"])

    def calls(self) -> set[str]:
        """All calls that any function makes."""
        return {
            call for function in self._costs.values() for case in function.values() for call in case.get("calls", {})
        }

    @cached_property
    def template(self) -> dict[str, Any]:
        return sam.read(ROOT / "template.yaml")

    def memory_mb(self, function: str) -> int:
        """Return what the template gives a function."""
        own = self.template["Resources"][function]["Properties"].get("MemorySize")
        return int(own or self.template["Globals"]["Function"]["MemorySize"])

    def count(self, kind: str) -> int:
        """Return how many resources of a type the template has."""
        return sum(body["Type"] == kind for body in self.template["Resources"].values())

    def default(self, parameter: str) -> float:
        """Return the default of a parameter that is a number."""
        return float(self.template["Parameters"][parameter]["Default"])

    def seconds(self, row: Row) -> float:
        """Return how long a function takes in Lambda: its work on its share of a processor, and its calls."""
        slowness = max(1, WHOLE_PROCESSOR_MB / self.memory_mb(row.function))
        return (row.cpu_ms * slowness + row.waiting_ms) / 1000


def _cpu_of(figures: str) -> Iterator[tuple[tuple[str, str], float]]:
    """The processor time of each case in the table of docs/figures.md, in GetRecordings."""
    lines = iter(figures.splitlines())
    header = next(line for line in lines if line.startswith("function   ") and "other calls" in line)
    case_at, read_at = header.index("case"), header.index("  read")
    cpu_at = header.index("other calls")
    function = ""
    for line in lines:
        if line.startswith("```"):
            return
        function = line[:case_at].strip() or function
        yield (function, line[case_at:read_at].strip()), float(line[:cpu_at].split()[-1])
