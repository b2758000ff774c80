"""Make one object of the parts of a transfer."""

from collections.abc import Mapping
from dataclasses import dataclass

from recordings.domain import etag as etags
from recordings.domain.checksum import combined_crc32
from recordings.domain.errors import ChecksumMismatch, SourceUnavailable
from recordings.domain.objects import UploadedPart
from recordings.domain.transfer import Attempt, TransferPlan, TransferResult
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ArchiveStore, ObjectStore, PartChecksums
from recordings.services.transfer.attempts import get_moving, get_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTransfer:
    """Make one object in R2 of the parts of an attempt."""

    recordings: Recordings
    store: ObjectStore
    part_checksums: PartChecksums

    def __call__(self, attempt: Attempt, plan: TransferPlan, *, checked: bool) -> TransferResult:
        """Complete the upload if its parts are verified or `checked`. Otherwise do nothing, and return "not verified".

        Raises:
            AttemptReplaced: another attempt has replaced this one
            SourceUnavailable: parts are missing
            ChecksumMismatch: the parts are not the source
        """
        get_waiting(self.recordings, attempt)
        return complete(plan, self.store, self.part_checksums, checked=checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteArchive:
    """Make one object in the archive bucket of the parts of a move."""

    recordings: Recordings
    archive: ArchiveStore
    part_checksums: PartChecksums

    def __call__(self, attempt: Attempt, plan: TransferPlan, *, checked: bool) -> TransferResult:
        """As CompleteTransfer. Raises AttemptReplaced if the move is over."""
        get_moving(self.recordings, attempt)
        return complete(plan, self.archive, self.part_checksums, checked=checked)


def complete(plan: TransferPlan, store: ObjectStore, part_checksums: PartChecksums, *, checked: bool) -> TransferResult:
    """Complete the upload of a plan, unless its parts are neither `checked` nor verified. Safe to repeat."""
    if not plan.segments:
        # The file was present: there is nothing to complete, and nothing was read.
        return TransferResult(etag=plan.etag, crc32=plan.crc32, verified=True)
    checksums = part_checksums.get_all(plan.checksums_key)
    if not all(number in checksums for number in plan.part_numbers):
        raise SourceUnavailable("parts are missing")
    whole = f"{combined_crc32([(checksums[number], plan.part_length(number)) for number in plan.part_numbers]):08x}"
    if plan.present:
        return TransferResult(etag=plan.etag, crc32=whole, verified=True)
    uploaded = store.list_parts(plan.key, plan.upload_id) if plan.upload_id else None
    if uploaded is None:
        # One request stored the file, and verified it before. Or this is a repeat, and the object exists. If neither
        # is so, VerifyTransfer does not find the object.
        _require_same_crc32(plan, whole)
        return TransferResult(etag=None, crc32=whole, verified=True)
    return _complete_upload(plan, store, part_checksums, uploaded, checksums, whole, checked=checked)


def _complete_upload(
    plan: TransferPlan,
    store: ObjectStore,
    part_checksums: PartChecksums,
    uploaded: Mapping[int, UploadedPart],
    checksums: Mapping[int, int],
    whole: str,
    *,
    checked: bool,
) -> TransferResult:
    lengths = [uploaded[number].size for number in plan.part_numbers if number in uploaded]
    if lengths != [plan.part_length(number) for number in plan.part_numbers]:
        raise SourceUnavailable("parts are missing")
    part_etags = {number: uploaded[number].etag for number in plan.part_numbers}
    etag = etags.of_parts(part_etags.values())
    verified = plan.crc32 == whole if plan.crc32 is not None else etags.same(plan.etag, etag)
    if not verified and not checked:
        return TransferResult(etag=None, crc32=None, verified=False)
    _require_same_crc32(plan, whole)
    if not verified and part_checksums.get_all(plan.disputed_key):
        raise ChecksumMismatch("reads disagreed, and what most of them returned does not yield the source's ETag")
    stored = store.complete_upload(plan.key, plan.upload_id, part_etags, checksums)
    if stored not in (None, whole):
        raise ChecksumMismatch(f"the stored object has the CRC-32 {stored}, the bytes that were read have {whole}")
    return TransferResult(etag=etag, crc32=whole, verified=True)


def _require_same_crc32(plan: TransferPlan, whole: str) -> None:
    if plan.crc32 not in (None, whole):
        raise ChecksumMismatch(f"the source has the CRC-32 {plan.crc32}, the bytes that were read have {whole}")
