"""The values of a transfer: whose attempt it is, how the file is copied, and what the copy must be.

The tasks of a workflow exchange these values as JSON. A field's name is its key in the message, so the names are those
of the first release. Sizes are bytes, CRC-32s lower-case hex.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from recordings.domain import etag as etags
from recordings.domain.admission import Proof
from recordings.domain.media import UNKNOWN_CONTENT_TYPE

MIB: Final = 1024 * 1024
# A smaller file is stored by one request, a larger one by a multipart upload whose parts are at least this large.
MULTIPART_THRESHOLD_BYTES: Final = 16 * MIB
# R2 and S3 accept 10,000 parts. R2 requires all parts but the last to have one size (R2, "Multipart objects").
MAX_PARTS: Final = 9_000
# R2 and S3 reject smaller parts. A thread that copies larger ones needs too much memory.
MIN_PART_BYTES: Final = 5 * MIB
MAX_PART_BYTES: Final = 64 * MIB
# A function copies one segment in less than two minutes at 20 MB/s.
SEGMENT_BYTES: Final = 2 * 1024 * MIB
# MaxConcurrency of the state machines' Map states.
MAX_CONCURRENT_SEGMENTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The recording that an execution works on, and the number of its attempt. It is the input of an execution."""

    tenant_id: str
    recording_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """Whether Cloudflare has finished a file: `over` means that the recording does not wait for this attempt's file.

    `partial`: Cloudflare reports the recording as errored and offers a file all the same.
    """

    state: Literal["uploaded", "stalled", "over"]
    partial: bool = False


class Segment(NamedTuple):
    """The parts that one function copies, first and last included. In JSON it is an array of two numbers."""

    first: int
    last: int

    @property
    def numbers(self) -> range:
        """The part numbers, in order."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What Cloudflare says about a file when its transfer is planned. All fields are empty if it knows no recording.

    `seconds` is the duration. `errored`: Cloudflare could not record or upload the file. `expires_at`: when Cloudflare
    deletes its copy.
    """

    size: int | None = None
    seconds: int | None = None
    errored: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file where it is copied from.

    `etag` is a strong ETag as the server sends it, `modified` its Last-Modified header; None if the server sends none.
    `ranges`: the server answers range requests.
    """

    size: int
    etag: str | None
    ranges: bool
    modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPlan:
    """How a file is copied to `key`.

    `source` is the key in the bucket that the file comes from; it is empty if the file comes from Cloudflare. `etag`
    and `modified` describe the source, `crc32` covers the whole source; None if unknown. `upload_id` is empty if one
    request stores the file. A file that is `present` is at `key` already: its segments are read for their checksums
    only. `announced` is None in a move to the archive, and in plans of a release that did not note it.
    """

    source: str
    key: str
    size: int
    etag: str | None
    modified: str | None
    ranges: bool
    content_type: str
    crc32: str | None
    part_size: int
    upload_id: str
    segments: tuple[Segment, ...]
    present: bool
    announced: Announcement | None = None

    @property
    def source_file(self) -> SourceFile:
        """The source as it was when it was measured."""
        return SourceFile(size=self.size, etag=self.etag, ranges=self.ranges, modified=self.modified)

    @property
    def part_numbers(self) -> range:
        """The numbers of all parts; empty if there is nothing to copy or read."""
        return range(1, self.segments[-1].last + 1) if self.segments else range(0)

    def part_length(self, number: int) -> int:
        """Return the size of one part."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def part_range(self, number: int) -> tuple[int, int]:
        """Return the offsets of the first and the last byte of one part."""
        first = (number - 1) * self.part_size
        return first, first + self.part_length(number) - 1

    @property
    def checksums_key(self) -> str:
        """The key under which the CRC-32s of the parts are stored until the file is complete."""
        if self.present:
            return f"{self.key}@{self.etag}"
        # A single request has no upload id. The key is safe: it belongs to this attempt alone.
        return self.upload_id or self.key

    @property
    def disputed_key(self) -> str:
        """The key under which the parts are stored on whose bytes two reads of the source disagreed."""
        return f"{self.checksums_key} disputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """What a completed transfer must have stored: the ETag of a multipart object and the CRC-32 of the file.

    If the result is not `verified`, the object does not exist yet: the segments must be checked first.
    """

    etag: str | None
    crc32: str | None
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """What VerifyTransfer found in a stored file. `duration` is in whole seconds, None if the file does not say.

    `sha256` is None if the file is too large to be read at once. `truncated`: the file shows that its end is missing.
    The defaults are for executions of releases that did not send these fields.
    """

    size: int
    content_type: str
    duration: int | None
    crc32: str | None
    sha256: str | None
    etag: str | None = None
    truncated: bool = False
    proof: Proof = Proof.NONE
    announced: Announcement | None = None

    @property
    def is_media(self) -> bool:
        """Whether the file is audio or video."""
        return self.content_type != UNKNOWN_CONTENT_TYPE


def part_size_for(size: int, etag: str | None = None) -> int:
    """Return the size of the parts of a file, in whole MiB.

    If the ETag of the source fits a part size that we can use, it is that one: then the ETag of the copy can equal the
    source's. Otherwise parts are at least MULTIPART_THRESHOLD_BYTES large, and large enough to stay within MAX_PARTS.
    """
    for part_size in etags.part_sizes(size, etag):
        if MIN_PART_BYTES <= part_size <= MAX_PART_BYTES and -(-size // part_size) <= MAX_PARTS:
            return part_size
    return max(MULTIPART_THRESHOLD_BYTES, -(-size // (MAX_PARTS * MIB)) * MIB)


def segments_for(size: int, part_size: int, *, ranges: bool) -> tuple[Segment, ...]:
    """Divide the parts of a file into segments. Without `ranges` the file is one segment, read as one stream."""
    parts = max(1, -(-size // part_size))
    length = max(1, SEGMENT_BYTES // part_size) if ranges else parts
    return tuple(Segment(first, min(first + length - 1, parts)) for first in range(1, parts + 1, length))


def stream_offsets(size: int, part_size: int) -> Iterator[tuple[int, int]]:
    """Yield the offsets of the first and the last byte of each part, in order."""
    for first in range(0, size, part_size):
        yield first, min(first + part_size, size) - 1
