"""Read the parts of a segment once more, where neither a checksum nor the ETag of the source verifies the copy."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from zlib import crc32

from recordings.domain import etag as etags
from recordings.domain.errors import ChecksumMismatch, SourceUnavailable
from recordings.domain.transfer import Attempt, Segment, TransferPlan
from recordings.ports.storage import Content
from recordings.services.transfer.parts import PartTransfer, SourceLocation
from recordings.services.transfer.segments import FromProvider, FromR2


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSegment(FromProvider):
    """Check the parts of one segment in R2 against the file at Cloudflare, and repair those that differ."""

    def __call__(self, attempt: Attempt, plan: TransferPlan, segment: Segment) -> int:
        """Return the number of parts that were repaired.

        Raises:
            AttemptReplaced: another attempt has replaced this one
            SourceChanged, SourceExpired, SourceUnavailable, RangesRefused: the source cannot be read as planned
            ChecksumMismatch: every read returns other bytes
        """
        return check_parts(self.parts_of(attempt, plan), segment)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckArchive(FromR2):
    """Check the parts of one segment in the archive against the file in R2, and repair those that differ."""

    def __call__(self, attempt: Attempt, plan: TransferPlan, segment: Segment) -> int:
        """Return the number of parts that were repaired.

        Raises:
            AttemptReplaced: the move is over, or another attempt has replaced this one
            SourceChanged, SourceUnavailable: the file in R2 cannot be read as planned
            ChecksumMismatch: every read returns other bytes
        """
        return check_parts(self.parts_of(attempt, plan), segment)


def check_parts(parts: PartTransfer, segment: Segment) -> int:
    """Read the parts of a segment again and repair those that differ. Return how many that were.

    If two reads of a part differ, the read that yields the source's ETag counts. If none does, what two of three reads
    agree on counts, and the part is stored as disputed if the ETag could verify the file: then the file is completed
    only if the ETag verifies it (complete.py).
    """
    parts.require_current()
    with parts.session() as connected:
        return _check(connected, segment)


def _check(parts: PartTransfer, segment: Segment) -> int:
    plan = parts.plan
    checksums = parts.stored_checksums()
    if not all(number in checksums for number in segment.numbers):
        raise SourceUnavailable("parts are missing")
    uploaded = parts.store.list_parts(plan.key, plan.upload_id)
    if uploaded is None:
        # A repeat after the file was completed.
        return 0
    location = parts.locate_source()
    if not plan.ranges:
        return _compare_stream(parts, location, checksums)
    part_etags = {number: part.etag for number, part in uploaded.items()}
    return parts.for_each(
        segment.numbers,
        lambda number: _repair(parts, location, number, checksums[number], part_etags),
        # Two reads are compared.
        buffers=2,
    )


def _compare_stream(parts: PartTransfer, location: SourceLocation, checksums: Mapping[int, int]) -> int:
    plan = parts.plan
    stream = parts.source.stream(location.current, plan.source_file, plan.part_size)
    for number, content in enumerate(stream, start=1):
        if crc32(content) != checksums[number]:
            # A new plan finds out which of the two streams was right.
            raise ChecksumMismatch(f"two reads of part {number} differ")
    return 0


def _repair(
    parts: PartTransfer, location: SourceLocation, number: int, checksum: int, part_etags: Mapping[int, str]
) -> bool:
    """Return whether the part that is stored was wrong."""
    plan = parts.plan
    with parts.read(location, number) as second:
        if crc32(second) == checksum:
            return False
        if _yields_etag(plan, part_etags, number, second):
            parts.save(number, second, replaces=True)
            return True
        with parts.read(location, number) as third:
            if _yields_etag(plan, part_etags, number, third):
                parts.save(number, third, replaces=True)
                return True
            if etags.may_name_parts(plan.etag, plan.size, plan.part_size):
                parts.part_checksums.store(plan.disputed_key, {number: checksum})
            if crc32(third) == checksum:
                return False
            if third != second:
                raise ChecksumMismatch(f"three reads of part {number} differ")
            parts.save(number, third, replaces=True)
            return True


def _yields_etag(plan: TransferPlan, part_etags: Mapping[int, str], number: int, content: Content) -> bool:
    """Whether the file has the source's ETag with this content as part `number` and the other parts as stored."""
    replaced = {**part_etags, number: md5(content, usedforsecurity=False).hexdigest()}
    return etags.same(plan.etag, etags.of_parts(replaced[one] for one in sorted(replaced)))
