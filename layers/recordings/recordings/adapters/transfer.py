"""Bytes from Cloudflare's presigned URLs and from our buckets, by ranged reads that survive broken connections."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import requests
from urllib3.exceptions import HTTPError

from recordings.adapters.object_store import Bucket, read_on
from recordings.domain.errors import SourceChanged, SourceDenied, SourceUnavailable
from recordings.services.transfer_file import Plan, length_of

TIMEOUT_SECONDS: Final = (3, 20)
CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file at a URL: its size in bytes, its strong ETag and its Last-Modified if it has them, and whether it can be
    read in ranges."""

    size: int
    etag: str | None
    ranges: bool
    modified: str | None = None


def measure(url: str) -> SourceFile:
    """Ask for one byte: a presigned GET URL may refuse HEAD. Raises SourceUnavailable."""
    try:
        with requests.get(
            url, headers={"Range": "bytes=0-0", "Accept-Encoding": "identity"}, timeout=TIMEOUT_SECONDS, stream=True
        ) as answer:
            etag = answer.headers.get("ETag")
            strong = etag if etag and not etag.startswith("W/") else None
            modified = answer.headers.get("Last-Modified")
            told = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if answer.status_code == HTTPStatus.PARTIAL_CONTENT and told.isdecimal():
                return SourceFile(int(told), strong, True, modified)
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and told == "0":
                return SourceFile(0, strong, True, modified)
            length = answer.headers.get("Content-Length", "")
            if answer.status_code == HTTPStatus.OK and length.isdecimal():
                return SourceFile(int(length), strong, False, modified)
            raise SourceUnavailable(f"the file's size could not be learned: {answer.status_code}")
    except requests.RequestException as error:
        raise SourceUnavailable(f"the file could not be reached: {type(error).__name__}") from None


def read(url: str, source: SourceFile, first: int, last: int) -> bytes:
    """The bytes from `first` to `last`, both included; a broken connection goes on where it broke.

    Raises SourceChanged when the file is no longer the one measured, SourceUnavailable when it cannot be read.
    """
    return read_on(
        lambda got: _fill(got, url, source, first, last), last - first + 1, (requests.RequestException, HTTPError)
    )


def _fill(got: bytearray, url: str, source: SourceFile, first: int, last: int) -> None:
    """Append what is still missing of `first` to `last`."""
    first += len(got)
    headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
    if source.etag:
        headers["If-Match"] = source.etag
    elif source.modified:
        headers["If-Unmodified-Since"] = source.modified
    with requests.get(url, headers=headers, timeout=TIMEOUT_SECONDS, stream=True) as answer:
        if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
            raise SourceChanged("the file changed while it was read")
        if answer.status_code == HTTPStatus.FORBIDDEN:
            raise SourceDenied("the URL may not be read any more")
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise SourceUnavailable(f"a range was answered with {answer.status_code}")
        if answer.headers.get("Content-Range", "") != f"bytes {first}-{last}/{source.size}":
            raise SourceChanged("the file's size changed while it was read")
        if _is_another(source, answer):
            raise SourceChanged("the file changed while it was read")
        # read1 gives what is there: reading whole chunks would lose the last one whenever the connection breaks.
        while chunk := answer.raw.read1(CHUNK):
            got += chunk


def _is_another(source: SourceFile, answer: requests.Response) -> bool:
    """Whether an answer tells of another file; not every server heeds a precondition."""
    if source.etag:
        return answer.headers.get("ETag", source.etag) != source.etag
    return bool(source.modified) and answer.headers.get("Last-Modified", source.modified) != source.modified


def stream(url: str, source: SourceFile, part_size: int) -> Iterator[bytes]:
    """A file that cannot be read in ranges, in parts of `part_size`. Raises SourceChanged or SourceUnavailable."""
    got, part = 0, bytearray()
    try:
        with requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT_SECONDS, stream=True) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise SourceUnavailable(f"the file was answered with {answer.status_code}")
            if _is_another(source, answer):
                raise SourceChanged("the file changed before it was read")
            for chunk in answer.iter_content(CHUNK):
                got += len(chunk)
                part += chunk
                while len(part) >= part_size:
                    with memoryview(part) as view:
                        # A slice of the buffer itself would be one copy more.
                        whole = bytes(view[:part_size])
                    del part[:part_size]
                    yield whole
    except requests.RequestException as error:
        raise SourceUnavailable(f"the connection broke: {type(error).__name__}") from None
    if got != source.size:
        raise SourceUnavailable(f"{got} of {source.size} bytes came")
    if part:
        yield bytes(part)


class UrlReader:
    """Implements transfer_file.Reader; a place is a URL."""

    def measure(self, place: str) -> SourceFile:
        return measure(place)

    def read(self, place: str, plan: Plan, first: int, last: int) -> bytes:
        return read(place, _planned(plan), first, last)

    def stream(self, place: str, plan: Plan) -> Iterator[bytes]:
        return stream(place, _planned(plan), plan["part_size"])


def _planned(plan: Plan) -> SourceFile:
    """The file that a plan was made for."""
    return SourceFile(plan["size"], plan["etag"], plan["ranges"], plan["modified"])


class BucketReader:
    """Implements transfer_file.Reader for a file in one of our buckets; a place is its key."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def measure(self, place: str) -> SourceFile:
        found = self._bucket.head(place)
        if found is None:
            raise SourceUnavailable("the file is not where the recording says")
        return SourceFile(found[0], found[1], True)

    def read(self, place: str, plan: Plan, first: int, last: int) -> bytes:
        return self._bucket.read(place, first, last, etag=plan["etag"])

    def stream(self, place: str, plan: Plan) -> Iterator[bytes]:
        for number in range(1, plan["segments"][-1][1] + 1):
            first = (number - 1) * plan["part_size"]
            yield self.read(place, plan, first, first + length_of(plan, number) - 1)
