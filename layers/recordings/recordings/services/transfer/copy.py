"""Copy the parts of a segment from their source into a bucket.

From the first read on, a CRC-32 and the MD5 that the bucket compares cover every byte. Whether the first read returned
the bytes of the source is another question. The source's CRC-32 answers it where it is known. Otherwise its ETag may.
It is the MD5 of the file or, if our parts are as large as those of the source, of our parts' MD5s. Where neither
verifies the file, the source is read once more (check.py).
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Final
from zlib import crc32

from recordings.domain import etag as etags
from recordings.domain.errors import ChecksumMismatch, RangesRefused, SourceUnavailable
from recordings.domain.objects import UploadedPart
from recordings.domain.transfer import MIB, Attempt, Segment, TransferPlan
from recordings.ports.storage import Content
from recordings.services.transfer.attempts import add_progress, get_moving, get_waiting
from recordings.services.transfer.parts import PartTransfer, SourceLocation, send_repeatedly
from recordings.services.transfer.segments import FromProvider, FromR2

# How many bytes are copied between two updates of the progress.
PROGRESS_INTERVAL_BYTES: Final = 256 * MIB


def _ignore(copied_bytes: int) -> None:
    """Default for `on_copied`: do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySegment(FromProvider):
    """Copy the parts of one segment from Cloudflare to R2. `on_copied` receives the number of bytes, now and then."""

    on_copied: Callable[[int], object] = _ignore
    progress_interval_bytes: int = PROGRESS_INTERVAL_BYTES

    def __call__(self, attempt: Attempt, plan: TransferPlan, segment: Segment) -> int:
        """Return the number of parts copied now; of a file that is present, the number of parts read now.

        Raises:
            AttemptReplaced: another attempt has replaced this one
            SourceChanged, SourceExpired, SourceUnavailable, RangesRefused: the source cannot be read as planned
            ChecksumMismatch: bytes were damaged again and again
        """

        def report(copied_bytes: int) -> None:
            add_progress(self.recordings, attempt, copied_bytes, get_current=get_waiting)
            self.on_copied(copied_bytes)

        return copy_parts(self.parts_of(attempt, plan), segment, report, self.progress_interval_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyToArchive(FromR2):
    """Copy the parts of one segment from R2 to the archive bucket. `on_copied`: as in CopySegment."""

    on_copied: Callable[[int], object] = _ignore
    progress_interval_bytes: int = PROGRESS_INTERVAL_BYTES

    def __call__(self, attempt: Attempt, plan: TransferPlan, segment: Segment) -> int:
        """Return the number of parts copied now.

        Raises:
            AttemptReplaced: the move is over, or another attempt has replaced this one
            SourceChanged, SourceUnavailable: the file in R2 cannot be read as planned
            ChecksumMismatch: bytes were damaged again and again
        """

        def report(copied_bytes: int) -> None:
            add_progress(self.recordings, attempt, copied_bytes, get_current=get_moving)
            self.on_copied(copied_bytes)

        return copy_parts(self.parts_of(attempt, plan), segment, report, self.progress_interval_bytes)


def copy_parts(
    parts: PartTransfer, segment: Segment, on_copied: Callable[[int], None], progress_interval_bytes: int
) -> int:
    """Copy the parts of a segment that are not stored yet, and return how many that were."""
    parts.require_current()
    meter = _Meter(on_copied, progress_interval_bytes)
    try:
        with parts.session() as connected:
            return _SegmentCopy(parts=connected, plan=parts.plan, meter=meter).run(segment)
    finally:
        meter.close()


class _Meter:
    """Adds up the bytes that the threads of one segment have copied, and reports them now and then."""

    def __init__(self, report: Callable[[int], None], interval_bytes: int) -> None:
        self._report, self._interval_bytes = report, interval_bytes
        self._lock, self._unreported = threading.Lock(), 0

    def add(self, copied_bytes: int) -> bool:
        """Return whether this call reported."""
        with self._lock:
            self._unreported += copied_bytes
            if self._unreported < self._interval_bytes:
                return False
            due, self._unreported = self._unreported, 0
        self._report(due)
        return True

    def close(self) -> None:
        """Report the rest."""
        if self._unreported:
            self._report(self._unreported)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SegmentCopy:
    parts: PartTransfer
    plan: TransferPlan
    meter: _Meter

    def run(self, segment: Segment) -> int:
        if self.plan.present:
            return self._read_present(segment)
        if not self.plan.upload_id:
            return self._copy_whole()
        return self._copy_missing(segment)

    def _read_present(self, segment: Segment) -> int:
        stored = self.parts.stored_checksums()
        return self.parts.for_each([number for number in segment.numbers if number not in stored], self._read_part)

    def _read_part(self, number: int) -> bool:
        with self.parts.read_stored(number) as content:
            self.parts.save_checksum(number, crc32(content))
            self.meter.add(len(content))
        return True

    def _copy_missing(self, segment: Segment) -> int:
        plan, store = self.plan, self.parts.store
        uploaded = store.list_parts(plan.key, plan.upload_id)
        if uploaded is None:
            if store.head(plan.key) is not None:
                # A repeat after the file was completed.
                return 0
            raise SourceUnavailable("the upload was aborted before it was complete")
        location = self.parts.locate_source()
        if not plan.ranges:
            return self._copy_stream(location.current, uploaded)
        checksums = self.parts.stored_checksums()
        self._adopt_checksums(segment, uploaded, checksums)
        missing = [
            number
            for number in segment.numbers
            if number not in checksums or number not in uploaded or uploaded[number].size != plan.part_length(number)
        ]
        return self.parts.for_each(
            missing, lambda number: self._copy_part(location, number, uploaded, replaces=number in checksums)
        )

    def _adopt_checksums(
        self, segment: Segment, uploaded: Mapping[int, UploadedPart], checksums: dict[int, int]
    ) -> None:
        """Add the checksums that the bucket keeps of parts whose checksum a function did not store before it ended."""
        for number in segment.numbers:
            part = uploaded.get(number)
            if number in checksums or part is None or part.crc32 is None:
                continue
            if part.size == self.plan.part_length(number):
                checksums[number] = part.crc32
                self.parts.save_checksum(number, part.crc32)

    def _copy_part(
        self, location: SourceLocation, number: int, uploaded: Mapping[int, UploadedPart], *, replaces: bool
    ) -> bool:
        """Return whether the part had to be sent."""
        with self.parts.read(location, number) as content:
            return self._save(number, content, uploaded, replaces=replaces)

    def _copy_stream(self, location: str, uploaded: Mapping[int, UploadedPart]) -> int:
        plan = self.plan
        stream = self.parts.source.stream(location, plan.source_file, plan.part_size)
        return sum(self._save(number, content, uploaded) for number, content in enumerate(stream, start=1))

    def _save(
        self, number: int, content: Content, uploaded: Mapping[int, UploadedPart], *, replaces: bool = False
    ) -> bool:
        """Store one part, or only its checksum if the bucket has these bytes. Return whether the part was sent."""
        if _is_uploaded(content, uploaded.get(number)):
            self.parts.save_checksum(number, crc32(content))
            return False
        self.parts.save(number, content, replaces=replaces)
        self._count(len(content))
        return True

    def _count(self, copied_bytes: int) -> None:
        if self.meter.add(copied_bytes):
            # Once per report is enough: the parts go into this attempt's own upload.
            self.parts.require_current()

    def _copy_whole(self) -> int:
        """Copy a small file with one request. It must be verified now: no later step could check it."""
        plan, location = self.plan, self.parts.locate_source()
        ranges = plan.ranges

        def read() -> bytes:
            nonlocal ranges
            if not plan.size:
                return b""
            if ranges:
                try:
                    with self.parts.read(location, 1) as content:
                        return bytes(content)
                except RangesRefused:
                    ranges = False
            return b"".join(self.parts.source.stream(location.current, plan.source_file, plan.part_size))

        content = read()
        if not is_verified(plan, content):
            content = _agreed_content(plan, content, read)
        # Reading may have taken long.
        self.parts.require_current()
        send_repeatedly(lambda: self.parts.store.put(plan.key, content, content_type=plan.content_type))
        self.parts.save_checksum(1, crc32(content))
        self.meter.add(len(content))
        return 1


def _is_uploaded(content: Content, part: UploadedPart | None) -> bool:
    """Whether a part in the bucket has this content. Its ETag is its MD5."""
    if part is None or part.size != len(content):
        return False
    return part.etag == md5(content, usedforsecurity=False).hexdigest()


def is_verified(plan: TransferPlan, content: bytes) -> bool:
    """Whether the source's CRC-32 or ETag shows that these are the bytes of the whole source."""
    if plan.crc32 is not None:
        return plan.crc32 == f"{crc32(content):08x}"
    return not content or etags.names(plan.etag, content)


def _agreed_content(plan: TransferPlan, first: bytes, read: Callable[[], bytes]) -> bytes:
    """Read the source again, and return what its checksum or ETag verifies, or what two of three reads agree on.

    If the ETag has the form of a checksum, two reads that agree and do not fit it are not enough: the third may fit.

    Raises:
        ChecksumMismatch: three reads returned three files
    """
    second = read()
    if is_verified(plan, second):
        return second
    if second == first and not etags.may_name(plan.etag, plan.size):
        return second
    third = read()
    if is_verified(plan, third):
        return third
    if second == first:
        return second
    if third not in (first, second):
        raise ChecksumMismatch("three reads of the source returned three different files")
    return third
