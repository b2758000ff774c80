"""A file in one of our buckets."""

from dataclasses import dataclass
from typing import Literal

type Store = Literal["r2", "s3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A verified file in one of our buckets. The checksums cover all bytes, in lower-case hex.

    `crc32` is set for every file that we copied, `sha256` for a file that is small enough for one read. `etag` is the
    ETag at verification. If the bucket later returns another one, the file has other bytes.
    """

    store: Store
    key: str
    size_bytes: int
    content_type: str
    crc32: str | None = None
    sha256: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A verified media file that may be incomplete. It becomes the recording's file if no better one arrives."""

    file: StoredFile
    duration_seconds: int | None = None
