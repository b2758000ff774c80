"""Read, store and checksum the parts of one plan, several at a time.

Every step is safe to repeat: a part that is stored, with its checksum, is not copied again. Bytes pass through memory
only, and only a few parts at a time.
"""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Final
from zlib import crc32

from recordings.domain.errors import ChecksumMismatch, SourceDenied
from recordings.domain.transfer import MIB, TransferPlan
from recordings.ports.storage import Content, ObjectStore, PartChecksums, SourceReader
from recordings.services.transfer.checksum_batch import ChecksumBatch

MAX_THREADS: Final = 4
# What the buffers of all threads may hold together. With its libraries a copy needs less than 300 MB.
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


class Buffers:
    """Memory for parts that is used again. A new buffer for each part would cost as much time as filling it."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    @contextmanager
    def borrow(self, length: int) -> Iterator[bytearray]:
        """Lend a buffer of this length until the end of the block."""
        # Lists are thread-safe. A buffer of another length belongs to the last part, and is of no more use.
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(length)
        if len(buffer) != length:
            buffer = bytearray(length)
        try:
            yield buffer
        finally:
            self._free.append(buffer)


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
    _batch: ChecksumBatch = field(init=False)
    _buffers: Buffers = field(init=False, default_factory=Buffers)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_batch", ChecksumBatch(self.part_checksums, self.plan))

    @contextmanager
    def session(self) -> Iterator["PartTransfer"]:
        """Keep the connections to the source until the end of the block. All checksums are stored then.

        The checksums of parts that were stored before an error are stored as well, so that a repeat has less to do.
        """
        with self.source.session() as source:
            parts = replace(self, source=source)
            try:
                yield parts
            except Exception:
                parts._batch.flush_after_error()
                raise
            parts._batch.flush()

    def locate_source(self) -> SourceLocation:
        """Find the source for the threads of one segment."""
        return SourceLocation(self.find_source)

    def stored_checksums(self) -> dict[int, int]:
        """Return the CRC-32s of the parts stored so far."""
        return dict(self.part_checksums.get_all(self.plan.checksums_key))

    @contextmanager
    def read(self, location: SourceLocation, number: int) -> Iterator[bytearray]:
        """Read one part from the source, into a buffer that is lent until the end of the block."""
        first, file = self.plan.part_range(number)[0], self.plan.source_file
        with self._buffers.borrow(self.plan.part_length(number)) as buffer:
            current = location.current
            try:
                self.source.read(current, file, first, buffer)
            except SourceDenied:
                # The URL has expired and the file has not: Cloudflare gives a new URL.
                self.source.read(location.replace(current), file, first, buffer)
            yield buffer

    @contextmanager
    def read_stored(self, number: int) -> Iterator[bytearray]:
        """Read one part of a file that is present, as `read` does."""
        plan = self.plan
        with self._buffers.borrow(plan.part_length(number)) as buffer:
            self.store.read_into(plan.key, plan.part_range(number)[0], buffer, etag=plan.etag)
            yield buffer

    def save(self, number: int, content: Content, *, replaces: bool = False) -> None:
        """Store one part, then its checksum, which may wait for those of other parts.

        `replaces` says that an earlier checksum of this part is stored: it is replaced at once.
        """
        plan, checksum = self.plan, crc32(content)
        send_repeatedly(lambda: self.store.upload_part(plan.key, plan.upload_id, number, content, crc32=checksum))
        # In this order: a part without a checksum is copied again, a checksum without a part would hide its absence.
        self._batch.add(number, checksum)
        if replaces:
            self._batch.flush()

    def save_checksum(self, number: int, checksum: int) -> None:
        """Store the checksum of a part that is stored already. It may wait for those of other parts."""
        self._batch.add(number, checksum)

    def for_each(self, numbers: Sequence[int], process: Callable[[int], bool], *, buffers: int = 1) -> int:
        """Process several parts at a time. Return how often `process` returned True.

        `buffers` is how many buffers one call of `process` may hold.
        """
        # Free what broken connections of an earlier segment left in this container's memory.
        gc.collect()
        threads = max(1, min(MAX_THREADS, BUFFER_BYTES // (buffers * self.plan.part_size)))
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
