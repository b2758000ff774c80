"""The buckets, the sources of files, and the checksums of parts under way.

Sizes are bytes. Offsets of a range include both ends. Every method may raise Throttled (busy, slow or unreachable) or
InfrastructureError (permission, no such bucket); the docstrings name only what is raised besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from recordings.domain.media import MediaFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from recordings.domain.archive import Tier
    from recordings.domain.objects import (
        DownloadUrl,
        ListedObject,
        ObjectHead,
        RestoreStatus,
        UnfinishedUpload,
        UploadedPart,
    )
    from recordings.domain.purge import StoreItem
    from recordings.domain.transfer import SourceFile

# The bytes of a file or of a part. A bytearray is used again after the call: who keeps the bytes copies them.
type Content = bytes | bytearray
# Reads the bytes of a range, given its first and its last offset.
type ReadRange = Callable[[int, int], bytes]
# Reads the type and the duration of a file, given a reader of its ranges and its size.
type ReadMediaFacts = Callable[[ReadRange, int], MediaFacts]


class ObjectStore(Protocol):
    """A bucket that speaks the S3 protocol: R2 or S3."""

    def head(self, key: str) -> ObjectHead | None:
        """Return size and ETag of an object, or None if there is none."""

    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        """Read a range. A lost connection does not restart it.

        Raises:
            SourceChanged: the object does not have this `etag`
            SourceUnavailable: the object is not there, or its bytes do not arrive
        """

    def read_into(self, key: str, first: int, buffer: bytearray, *, etag: str | None = None) -> None:
        """Fill the buffer with the range that begins at offset `first`. Otherwise as `read`."""

    def put(self, key: str, content: Content, *, content_type: str) -> str:
        """Store a small object with one request, and return its MD5.

        Raises:
            ChecksumMismatch: the bucket received other bytes
        """

    def create_upload(self, key: str, *, content_type: str) -> str:
        """Create a multipart upload and return its id. No two callers may create one for the same key at a time."""

    def upload_part(self, key: str, upload_id: str, number: int, content: Content, *, crc32: int | None = None) -> str:
        """Store one part, and return its MD5. `crc32` is the CRC-32 of the content, if the caller has it.

        Raises:
            ChecksumMismatch: the bucket received other bytes
            SourceUnavailable: the upload does not exist
        """

    def list_parts(self, key: str, upload_id: str) -> Mapping[int, UploadedPart] | None:
        """Return the stored parts by number, or None if the upload does not exist (any more)."""

    def complete_upload(
        self, key: str, upload_id: str, etags: Mapping[int, str], part_checksums: Mapping[int, int]
    ) -> str | None:
        """Make one object of the parts. Return its CRC-32 in hex, or None if the service computes none.

        Safe to repeat: an object that these parts have made already is accepted.

        Raises:
            SourceUnavailable: the upload or one of its parts is missing
        """

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Delete an unfinished upload and its parts. An upload that does not exist is no error."""

    def list_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Iterate over the unfinished uploads below a prefix."""

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ListedObject]:
        """Iterate over the objects below a prefix, by key, beginning behind the key `after`."""

    def list_names(self, prefix: str) -> Iterator[str]:
        """Iterate over the names directly below a prefix. The name of a folder ends with a slash."""

    def delete(self, key: str) -> None:
        """Delete an object. One that does not exist is no error. A bucket with versions keeps the version."""

    def copy(self, source_key: str, target_key: str) -> None:
        """Copy an object of any size within the bucket."""

    def presign_download(
        self, key: str, *, file_name: str, content_type: str, expires_in_seconds: int, now: datetime
    ) -> DownloadUrl:
        """Return a URL that downloads the object under this file name.

        It may expire earlier than asked for: a URL is only valid as long as the credentials that signed it.
        """

    def list_items(self, prefix: str) -> Iterator[StoreItem]:
        """Iterate over all that a prefix holds: objects (or their versions and delete markers), unfinished uploads."""

    def erase(self, item: StoreItem) -> None:
        """Delete one item for good. One that does not exist is no error."""


class ArchiveStore(ObjectStore, Protocol):
    """An ObjectStore in a Glacier storage class: an object can be read after it was restored."""

    @property
    def storage_class(self) -> str:
        """The storage class of new objects."""

    def restore_status(self, key: str) -> RestoreStatus | None:
        """Return the state of an object's restored copy, or None if there is no such object."""

    def request_restore(self, key: str, *, days: int, tier: Tier) -> bool:
        """Request a readable copy for some days.

        Return False if a restore of this or a faster tier is in progress. A copy that is readable is kept longer.

        Raises:
            RetrievalRefused: the expedited tier has no capacity
        """


class SourceReader(Protocol):
    """Reads the file that a transfer copies. `location` is a URL or a key. Several threads may use one reader."""

    def session(self) -> AbstractContextManager[SourceReader]:
        """Return a reader that keeps its connections from one call to the next, until the end of the block."""

    def measure(self, location: str) -> SourceFile:
        """Return size, ETag and abilities of the file.

        Raises:
            SourceNotAllowed: the URL may not be fetched
            SourceUnavailable: the file or its size cannot be had
        """

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        """Fill the buffer with the range of the measured file that begins at offset `first`.

        A lost connection does not restart the range. After an error the buffer holds anything.

        Raises:
            SourceChanged: the file is not the one that was measured
            SourceDenied: the URL has expired
            RangesRefused: the server does not answer with the range
            SourceNotAllowed: the URL may not be fetched
            SourceUnavailable: the bytes do not arrive
        """

    def stream(self, location: str, file: SourceFile, part_size: int) -> Iterator[bytes]:
        """Read the whole file in order, in parts of one size.

        Raises:
            SourceChanged: the file is not the one that was measured
            SourceNotAllowed: the URL may not be fetched
            SourceUnavailable: the bytes do not arrive
        """


class PartChecksums(Protocol):
    """The CRC-32 of each part that was stored, until its file is complete. `upload` is any unique key."""

    def store(self, upload: str, checksums: Mapping[int, int]) -> None:
        """Store checksums by part number, in place of earlier ones. After an error some of them may be stored."""

    def get_all(self, upload: str) -> Mapping[int, int]:
        """Return the checksums by part number, strongly consistent."""
