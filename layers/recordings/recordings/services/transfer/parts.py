"""Read, store and checksum the parts of one plan, several at a time.

Every step is safe to repeat: a part that is stored, with its checksum, is not copied again. Bytes pass through memory
only, and only a few parts at a time.
"""

import gc
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from recordings.domain.errors import ChecksumMismatch, SourceDenied
from recordings.domain.transfer import MIB, TransferPlan
from recordings.ports.storage import ObjectStore, PartChecksums, SourceReader

MAX_THREADS: Final = 4
# What all threads may hold together: two buffers of a part each. With its libraries a copy needs less than 300 MB.
BUFFER_BYTES: Final = 160 * MIB
# How often a part is sent if it is damaged on its way. Giving up would begin the whole transfer again.
MAX_SENDS: Final = 3


class SourceLocation:
    """Where all threads of a segment read the source. It is found again when the URL has expired."""

    def __init__(self, find: Callable[[], str]) -> None:
        self._find, self._lock, self.current = find, threading.Lock(), find()

    def replace(self, expired: str) -> str:
        """Return another location than this one, found once for all threads."""
        with self._lock:
            # Each question counts in Cloudflare's rate limit. Another thread may have asked already.
            if self.current == expired:
                self.current = self._find()
            return self.current


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTransfer:
    """The parts of one plan.

    `find_source` returns the URL or the key of the source. `require_current` raises AttemptReplaced if another attempt
    has replaced this one; it is called before every effect that others could see.
    """

    plan: TransferPlan
    store: ObjectStore
    source: SourceReader
    part_checksums: PartChecksums
    find_source: Callable[[], str]
    require_current: Callable[[], object]

    def locate_source(self) -> SourceLocation:
        """Find the source for the threads of one segment."""
        return SourceLocation(self.find_source)

    def stored_checksums(self) -> dict[int, int]:
        """Return the CRC-32s of the parts stored so far."""
        return dict(self.part_checksums.get_all(self.plan.checksums_key))

    def read(self, location: SourceLocation, number: int) -> bytes:
        """Read one part from the source."""
        first, last = self.plan.part_range(number)
        current = location.current
        try:
            return self.source.read(current, self.plan.source_file, first, last)
        except SourceDenied:
            # The URL has expired and the file has not: Cloudflare gives a new URL.
            return self.source.read(location.replace(current), self.plan.source_file, first, last)

    def save(self, number: int, content: bytes) -> None:
        """Store one part, then its checksum."""
        plan = self.plan
        send_repeatedly(lambda: self.store.upload_part(plan.key, plan.upload_id, number, content))
        # In this order: a part without a checksum is copied again, a checksum without a part would hide its absence.
        self.save_checksum(number, content)

    def save_checksum(self, number: int, content: bytes) -> None:
        """Store the checksum of one part."""
        self.part_checksums.store(self.plan.checksums_key, number, crc32(content))

    def for_each(self, numbers: Sequence[int], process: Callable[[int], bool]) -> int:
        """Process several parts at a time, with two buffers per thread. Return how often `process` returned True."""
        # Free what broken connections of an earlier segment left in this container's memory.
        gc.collect()
        threads = max(1, min(MAX_THREADS, BUFFER_BYTES // (2 * self.plan.part_size)))
        with ThreadPoolExecutor(threads) as pool:
            # A thread does not inherit the context. Each part gets a copy: it names the tenant for logs and metrics.
            contexts = [copy_context() for _ in numbers]
            # sum() raises the first failure. The parts that were stored stay stored for the next try.
            return sum(pool.map(lambda context, number: context.run(process, number), contexts, numbers))


def send_repeatedly(send: Callable[[], object]) -> None:
    """Send bytes again if the bucket rejects them as damaged: they are still intact here.

    Raises:
        ChecksumMismatch: the bytes never arrived intact
    """
    for _ in range(MAX_SENDS - 1):
        try:
            send()
        except ChecksumMismatch:
            continue
        return
    send()
