"""What a bucket reports about the objects in it. Sizes are bytes, ETags have no quotes, times are aware UTC."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """The answer to a HEAD request."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing."""

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    initiated_at: datetime


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """One part of an unfinished upload. The ETag of a part is the MD5 of its bytes.

    `crc32` is the CRC-32 that the service has compared and stored, None if it stores none.
    """

    size: int
    etag: str
    crc32: int | None = None


@dataclass(frozen=True, slots=True)
class DownloadUrl:
    """A presigned URL and the time at which it stops working."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RestoreStatus:
    """What S3 reports about the restored copy of an archived object.

    `in_progress`: a restore was requested and no copy is readable because of it yet. `readable_until`: when S3 deletes
    the readable copy, None without one.
    """

    in_progress: bool
    readable_until: datetime | None
    storage_class: str
