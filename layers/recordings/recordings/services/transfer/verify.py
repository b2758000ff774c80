"""Verify that a stored object is what was read, and read its type and duration."""

from dataclasses import dataclass
from hashlib import sha256
from zlib import crc32

from recordings.domain import etag as etags
from recordings.domain.admission import Proof
from recordings.domain.errors import ChecksumMismatch
from recordings.domain.transfer import MULTIPART_THRESHOLD_BYTES, TransferPlan, TransferResult, VerifiedFile
from recordings.ports.storage import ObjectStore, ReadMediaFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTransfer:
    """Compare the stored object with what was read, and find out what kind of file it is."""

    store: ObjectStore
    read_media_facts: ReadMediaFacts
    multipart_threshold_bytes: int = MULTIPART_THRESHOLD_BYTES

    def __call__(self, plan: TransferPlan, result: TransferResult) -> VerifiedFile:
        """Return the facts of the stored file.

        Raises:
            ChecksumMismatch: the object is not what was read
        """
        etag = verify_stored(self.store, plan, result)
        # A small file is read back whole: nothing verifies it better than its own bytes.
        content = self._read_small(plan)
        checksum = result.crc32
        if content is not None:
            checksum = f"{crc32(content):08x}"
            if result.crc32 not in (None, checksum):
                raise ChecksumMismatch(f"the CRC-32 {result.crc32} was stored, {checksum} was read back")

        def read_range(first: int, last: int) -> bytes:
            if content is not None:
                return content[first : last + 1]
            return self.store.read(plan.key, first, last, etag=etag)

        media = self.read_media_facts(read_range, plan.size)
        return VerifiedFile(
            size=plan.size,
            content_type=media.content_type,
            duration=media.duration_seconds,
            crc32=checksum,
            sha256=sha256(content).hexdigest() if content is not None else None,
            etag=etag,
            truncated=media.truncated,
            proof=_proof(plan, result, etag),
            announced=plan.announced,
        )

    def _read_small(self, plan: TransferPlan) -> bytes | None:
        """Return the whole file, or None if it is too large to be read at once."""
        if plan.size >= self.multipart_threshold_bytes:
            return None
        return self.store.read(plan.key, 0, plan.size - 1) if plan.size else b""


def verify_stored(store: ObjectStore, plan: TransferPlan, result: TransferResult) -> str:
    """Return the ETag of the object that a transfer has stored.

    Raises:
        ChecksumMismatch: the object is missing, or has another size or ETag than expected
    """
    found = store.head(plan.key)
    if found is None or found.size != plan.size:
        raise ChecksumMismatch(f"{found.size if found else 'no'} bytes are stored of {plan.size}")
    if result.etag is not None and found.etag != result.etag:
        raise ChecksumMismatch(f"the object has the ETag {found.etag}, its parts yield {result.etag}")
    return found.etag


def _proof(plan: TransferPlan, result: TransferResult, etag: str) -> Proof:
    """Return what shows that the stored bytes are the source's."""
    if plan.present:
        return Proof.NONE
    by_checksum = plan.crc32 is not None and plan.crc32 == result.crc32
    # Both ETags consist of the same MD5s, of the file or of its parts.
    return Proof.SOURCE if by_checksum or etags.same(plan.etag, etag) else Proof.READS
