"""Reads of a media file that are bounded in number, in bytes and in steps, whatever the file says."""

from collections.abc import Callable
from typing import Final

type Read = Callable[[int, int], bytes]

# Each read is a request to the store.
MAX_READS: Final = 64
MAX_READ_BYTES: Final = 12 * 1024 * 1024
# Boxes or elements that are looked at. A real header has a few hundred.
MAX_STEPS: Final = 20_000
# What one read brings at least: a header is rarely larger, and it takes no longer than a few bytes do.
BLOCK_BYTES: Final = 32 * 1024


class LimitReached(Exception):
    """The file takes more reads, bytes or steps than are allowed: what is known by then has to do."""


class RangedFile:
    """A file that is read in blocks, which are kept. `read` takes the first and the last byte of a range."""

    def __init__(self, read: Read, size: int) -> None:
        self.size = size
        self._read = read
        self._blocks: list[tuple[int, bytes]] = []
        self._reads = 0
        self._bytes = 0
        self._steps = 0

    def at(self, offset: int, length: int) -> bytes:
        """The bytes there, fewer where the file ends first. Raises LimitReached."""
        end = min(offset + length, self.size)
        if offset < 0 or offset >= end:
            return b""
        for start, block in reversed(self._blocks):
            if start <= offset and end <= start + len(block):
                return block[offset - start : end - start]
        return self._fetch(offset, end)

    def _fetch(self, offset: int, end: int) -> bytes:
        last = min(max(end, offset + BLOCK_BYTES), self.size)
        if self._reads >= MAX_READS or self._bytes + last - offset > MAX_READ_BYTES:
            raise LimitReached
        self._reads += 1
        self._bytes += last - offset
        block = self._read(offset, last - 1)
        self._blocks.append((offset, block))
        return block[: end - offset]

    @property
    def remaining_reads(self) -> int:
        """How many reads may still be made."""
        return MAX_READS - self._reads

    def step(self, count: int = 1) -> None:
        """Count a box or element, or work as long as for `count` of them. Raises LimitReached."""
        self._steps += count
        if self._steps > MAX_STEPS:
            raise LimitReached
