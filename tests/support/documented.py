"""The blocks of the documentation, found and classed, so that each is run or checked in a way that is known."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.template import ROOT

# A block whose first line begins so is one for a reader with an AWS account: it runs against the emulator.
NEEDS_AWS = "# Needs an AWS account"
SHELL = frozenset({"bash"})
PYTHON = frozenset({"python"})
DATA = frozenset({"json", "toml", "yaml"})
# What a program prints, and queries for a console: nothing to run.
OUTPUT = frozenset({"text"})
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<info>.*)$")
# A line that begins so is a command, whatever its block is called.
COMMAND = re.compile(
    r"^\s*(\$ |(sudo |export \S+ )?(make|curl|aws|sam|pip|git|npm|npx|docker|recordings|\./\S+|python3?|\S*/bin/\S+) )"
)


class Class(StrEnum):
    """How a block is checked."""

    RUN = "run"
    EMULATED = "run against the emulator"
    DATA = "read as data"
    OUTPUT = "output"


@dataclass(frozen=True)
class Block:
    """One fenced block; `page` is relative to the checkout, `line` that of its fence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Unclassed(Exception):
    """A block that nobody would check."""


def pages(root: Path = ROOT) -> list[str]:
    """Every page with commands for readers."""
    found = [
        *sorted(root.glob("*.md")),
        *sorted((root / "docs").glob("**/*.md")),
        *sorted((root / "clients").glob("*/*.md")),
    ]
    return [str(path.relative_to(root)) for path in found]


def blocks(page: str, text: str) -> Iterator[Block]:
    """Every fenced block of a page, in order. Raises Unclassed for a fence that is never closed."""
    opened: re.Match[str] | None = None
    start, held = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, start, held = fence, number, []
        elif fence and fence["ticks"] == opened["ticks"] and not fence["info"].strip():
            indent = len(opened["indent"])
            yield Block(page, start, opened["info"].strip(), "".join(f"{held_line[indent:]}\n" for held_line in held))
            opened = None
        else:
            held.append(line)
    if opened is not None:
        raise Unclassed(f"{page}:{start}: the block has no end")


def class_of(block: Block) -> Class:
    """How the block is checked. Raises Unclassed when it is not known."""
    if block.language in SHELL | PYTHON:
        return Class.EMULATED if block.text.startswith(NEEDS_AWS) else Class.RUN
    if block.language in DATA:
        return Class.DATA
    if block.language in OUTPUT:
        if command := next((line for line in block.text.splitlines() if COMMAND.match(line)), None):
            raise Unclassed(f"{block}: `{command.strip()}` looks like a command: call the block bash")
        return Class.OUTPUT
    known = ", ".join(sorted(SHELL | PYTHON | DATA | OUTPUT))
    raise Unclassed(f"{block}: the language is {block.language or 'missing'}; known are {known}")


def of_page(page: str) -> list[Block]:
    """The blocks of a page of this checkout."""
    return list(blocks(page, (ROOT / page).read_text()))
