"""Faults that a gate finds, and their excuses."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

EXCUSED: Final = Path(__file__).with_name("excused.toml")
# A reason is a sentence, not a word.
MIN_REASON_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule of a gate that a resource breaks."""

    gate: str
    rule: str
    logical_id: str
    resource_type: str
    text: str

    def __str__(self) -> str:
        return f"{self.gate} {self.rule} {self.logical_id}: {self.text}"


@dataclass(frozen=True, slots=True)
class Excuse:
    """`where` contains logical ids, as shell patterns, or types of resources."""

    gate: str
    rule: str
    where: Sequence[str]
    reason: str

    def covers(self, fault: Fault) -> Iterator[str]:
        """Yield the entries of `where` that excuse a fault."""
        if (fault.gate, fault.rule) == (self.gate, self.rule):
            for one in self.where:
                if fnmatchcase(fault.logical_id, one) or fault.resource_type == one:
                    yield one


def excuses(path: Path = EXCUSED) -> Sequence[Excuse]:
    """Return every excuse of the file. Raises KeyError or TypeError if one is incomplete."""
    return [Excuse(**one) for one in tomllib.loads(path.read_text())["excused"]]


def kept(faults: Iterable[Fault], allowed: Sequence[Excuse]) -> Iterator[str]:
    """Yield a line for each fault without an excuse, and for each excuse without a reason or a fault."""
    used: set[tuple[str, str, str]] = set()
    for fault in faults:
        covered = [(fault.gate, fault.rule, one) for excuse in allowed for one in excuse.covers(fault)]
        used.update(covered)
        if not covered:
            yield str(fault)
    for excuse in allowed:
        if len(excuse.reason) < MIN_REASON_CHARACTERS:
            yield f"{excuse.gate} {excuse.rule}: excused without a reason"
        for one in excuse.where:
            if (excuse.gate, excuse.rule, one) not in used:
                yield f"{excuse.gate} {excuse.rule}: {one} is excused and needs no excuse"
