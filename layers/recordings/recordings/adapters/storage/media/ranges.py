"""Bounded reads of a media file: their number, their bytes and the steps are limited, whatever the file says."""

from collections.abc import Callable
from typing import Final

type Read = Callable[[int, int], bytes]

# Each read is a request to the bucket.
MAX_READS: Final = 64
MAX_READ_BYTES: Final = 12 * 1024 * 1024
# The number of boxes or elements that are read. A real header has a few hundred.
MAX_STEPS: Final = 20_000
# The minimum of one read. A header is rarely larger, and reading this much takes no longer than a few bytes.
BLOCK_BYTES: Final = 32 * 1024


class LimitReached(Exception):
    """The file needs more reads, bytes or steps than allowed. The facts read so far count."""


class RangedFile:
    """A file that is read in blocks, which stay in memory. `read` receives the first and the last offset of a range."""

    def __init__(self, read: Read, size: int) -> None:
        self.size = size
        self._read = read
        self._blocks: list[tuple[int, bytes]] = []
        self._reads = 0
        self._bytes = 0
        self._steps = 0

    def at(self, offset: int, length: int) -> bytes:
        """Return the bytes at an offset, fewer if the file ends first. Raises LimitReached."""
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
        """The number of reads left."""
        return MAX_READS - self._reads

    def step(self, count: int = 1) -> None:
        """Count a box or element, or work that takes as long as `count` of them. Raises LimitReached."""
        self._steps += count
        if self._steps > MAX_STEPS:
            raise LimitReached
