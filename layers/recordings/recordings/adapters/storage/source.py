"""Read the source of a transfer: a URL that Cloudflare gave, or a key in one of our buckets."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Self

import requests
from urllib3.exceptions import HTTPError

from recordings.adapters.storage.bucket import Bucket
from recordings.adapters.storage.download import CheckedConnections, DownloadRules, receive_into
from recordings.adapters.storage.resume import CHUNK_BYTES, Filling, read_resuming
from recordings.domain.errors import RangesRefused, SourceChanged, SourceDenied, SourceUnavailable
from recordings.domain.transfer import SourceFile, stream_offsets

# A file without Content-Length is read to count its bytes. The function that does so ends after 60 seconds.
MAX_COUNTING_SECONDS: Final = 30
# The total may be unknown (RFC 9110, section 14.4).
CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class UrlReader:
    """Implements ports.storage.SourceReader for URLs that the environment allows.

    Without `connections` each call opens a connection of its own.
    """

    def __init__(
        self,
        *,
        max_counting_seconds: float = MAX_COUNTING_SECONDS,
        connections: CheckedConnections | None = None,
    ) -> None:
        self._rules, self._max_counting_seconds = DownloadRules.from_settings(), max_counting_seconds
        self._connections = connections

    @contextmanager
    def session(self) -> Iterator["UrlReader"]:
        with closing(CheckedConnections(self._rules)) as connections:
            yield UrlReader(max_counting_seconds=self._max_counting_seconds, connections=connections)

    def measure(self, location: str) -> SourceFile:
        with self._connected() as connections:
            return measure(location, connections, self._max_counting_seconds)

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        with self._connected() as connections:
            read(location, file, first, buffer, connections)

    def stream(self, location: str, file: SourceFile, part_size: int) -> Iterator[bytes]:
        with self._connected() as connections:
            yield from stream(location, file, part_size, connections)

    def _connected(self) -> AbstractContextManager[CheckedConnections]:
        return nullcontext(self._connections) if self._connections else closing(CheckedConnections(self._rules))


class BucketReader:
    """Implements ports.storage.SourceReader for the keys of one bucket, whose client keeps its connections."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def session(self) -> AbstractContextManager[Self]:
        return nullcontext(self)

    def measure(self, location: str) -> SourceFile:
        found = self._bucket.head(location)
        if found is None:
            raise SourceUnavailable("the file is not where the recording says")
        return SourceFile(size=found.size, etag=found.etag, ranges=True)

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        self._bucket.read_into(location, first, buffer, etag=file.etag)

    def stream(self, location: str, file: SourceFile, part_size: int) -> Iterator[bytes]:
        for first, last in stream_offsets(file.size, part_size):
            yield self._bucket.read(location, first, last, etag=file.etag)


def measure(url: str, connections: CheckedConnections, max_counting_seconds: float) -> SourceFile:
    """Request one byte, because a presigned GET URL may refuse HEAD. If that shows no size, request the whole file.

    Raises:
        SourceNotAllowed: the URL may not be fetched
        SourceUnavailable: the server cannot be reached, or shows no size
    """
    with _get(url, {"Range": "bytes=0-0"}, connections) as response:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        match response.status_code:
            case HTTPStatus.PARTIAL_CONTENT if total.isdecimal():
                return _source_file(int(total), response, ranges=True)
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if total == "0":
                return _source_file(0, response, ranges=True)
            case HTTPStatus.OK:
                return _source_file(_size_of(response, max_counting_seconds), response, ranges=False)
            case HTTPStatus.PARTIAL_CONTENT | HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # A server whose ranges show no size is read without ranges.
                pass
            case status:
                raise SourceUnavailable(f"the server does not show the size of the file: {status}")
    with _get(url, {}, connections) as response:
        if response.status_code != HTTPStatus.OK:
            raise SourceUnavailable(f"the server does not show the size of the file: {response.status_code}")
        return _source_file(_size_of(response, max_counting_seconds), response, ranges=False)


@contextmanager
def _get(url: str, headers: Mapping[str, str], connections: CheckedConnections) -> Iterator[requests.Response]:
    """A response whose body was not read yet. Raises SourceNotAllowed or SourceUnavailable."""
    try:
        with connections.open(url, {"Accept-Encoding": "identity", **headers}) as response:
            yield response
    except requests.RequestException as error:
        # Its text would contain the signed URL.
        raise SourceUnavailable(f"the file could not be reached: {type(error).__name__}") from None


def _source_file(size: int, response: requests.Response, *, ranges: bool) -> SourceFile:
    etag = response.headers.get("ETag")
    strong = etag if etag and not etag.startswith("W/") else None
    return SourceFile(size=size, etag=strong, ranges=ranges, modified=response.headers.get("Last-Modified"))


def _size_of(response: requests.Response, max_counting_seconds: float) -> int:
    """The size of a whole response, counted if Content-Length does not show it. Raises SourceUnavailable."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and response.headers.get("Content-Encoding", "identity") == "identity":
        return int(length)
    size, deadline = 0, time.monotonic() + max_counting_seconds
    for chunk in response.iter_content(CHUNK_BYTES):
        size += len(chunk)
        if time.monotonic() > deadline:
            raise SourceUnavailable("the server does not show the size, and counting the bytes takes too long")
    return size


def read(url: str, file: SourceFile, first: int, buffer: bytearray, connections: CheckedConnections) -> None:
    """Fill the buffer with the range that begins at offset `first`. A lost connection does not restart it.

    Raises what SourceReader.read raises.
    """
    last = first + len(buffer) - 1
    read_resuming(
        lambda filling: _request_rest(filling, url, file, first, last, connections),
        buffer,
        (requests.RequestException, HTTPError),
    )


def _request_rest(
    filling: Filling, url: str, file: SourceFile, first: int, last: int, connections: CheckedConnections
) -> None:
    """Append what is missing of the range."""
    first += filling.received
    headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
    condition = _condition(file)
    with connections.open(url, headers | condition) as response:
        if response.status_code != HTTPStatus.PRECONDITION_FAILED or not condition:
            return _take(filling, response, file, first, last)
    # The condition fails for another file, and also for a strong ETag that the server now calls weak (RFC 9110, section
    # 13.1.1). The response without the condition shows which it is.
    with connections.open(url, headers) as response:
        if response.status_code == HTTPStatus.PARTIAL_CONTENT and not _is_same(file, response):
            raise SourceChanged("the file changed while it was read")
        _take(filling, response, file, first, last)


def _condition(file: SourceFile) -> dict[str, str]:
    if file.etag:
        return {"If-Match": file.etag}
    if file.modified and _http_date(file.modified) is not None:
        return {"If-Unmodified-Since": file.modified}
    return {}


def _take(filling: Filling, response: requests.Response, file: SourceFile, first: int, last: int) -> None:
    """Add the body of the response to a range request. It may end early: then the connection was lost."""
    _require_partial(response.status_code)
    remaining = _length_of_range(response, file, first, last)
    while remaining:
        received = receive_into(response, filling.rest[: min(CHUNK_BYTES, remaining)])
        if not received:
            return
        filling.received += received
        remaining -= received
    # A body without Content-Length may go on. Only at its end can the connection be used again.
    if receive_into(response, memoryview(bytearray(1))):
        raise RangesRefused("the server sent more bytes than it announced")


def _require_partial(status_code: int) -> None:
    match status_code:
        case HTTPStatus.PARTIAL_CONTENT:
            return
        case HTTPStatus.PRECONDITION_FAILED | HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise SourceChanged("the file changed while it was read")
        case HTTPStatus.FORBIDDEN:
            raise SourceDenied("the URL has expired")
        case HTTPStatus.OK:
            raise RangesRefused("the server sent the whole file instead of a range")
        case status:
            raise SourceUnavailable(f"the server responded to a range request with {status}")


def _length_of_range(response: requests.Response, file: SourceFile, first: int, last: int) -> int:
    """The number of bytes that a partial response announces, if it is a response to this request."""
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise RangesRefused("a response does not show which range it is")
    if found[3] not in ("*", str(file.size)):
        raise SourceChanged("the file's size changed while it was read")
    if int(found[1]) != first or int(found[2]) > last:
        raise RangesRefused("the server sent another range than requested")
    if _is_another(file, response):
        raise SourceChanged("the file changed while it was read")
    length = int(found[2]) - first + 1
    # Otherwise the body is not the range: it may be compressed.
    if response.headers.get("Content-Length", str(length)) != str(length):
        raise RangesRefused("the length of the body is not that of the range")
    return length


def _is_another(file: SourceFile, response: requests.Response) -> bool:
    """Whether a response shows that it is of another file. Not every server obeys a condition."""
    etag, modified = response.headers.get("ETag"), _http_date(response.headers.get("Last-Modified"))
    if file.etag and etag:
        return _opaque(etag) != _opaque(file.etag)
    before = _http_date(file.modified)
    return before is not None and modified is not None and modified != before


def _is_same(file: SourceFile, response: requests.Response) -> bool:
    """Whether a response shows that it is of the same file."""
    etag, modified = response.headers.get("ETag"), _http_date(response.headers.get("Last-Modified"))
    if file.etag and etag:
        return _opaque(etag) == _opaque(file.etag)
    return modified is not None and modified == _http_date(file.modified)


def _opaque(etag: str) -> str:
    """An ETag for the weak comparison of RFC 9110, section 8.8.3.2: a server may call the same file strong and weak."""
    return etag.removeprefix("W/")


def _http_date(value: str | None) -> datetime | None:
    """An HTTP date in any of its three forms (RFC 9110, section 5.6.7), or None if it is none."""
    try:
        found = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    return found.astimezone(UTC) if found and found.tzinfo else found and found.replace(tzinfo=UTC)


def stream(url: str, file: SourceFile, part_size: int, connections: CheckedConnections) -> Iterator[bytes]:
    """Read a file that cannot be read in ranges, in parts of `part_size`.

    Raises what SourceReader.stream raises.
    """
    received, part = 0, bytearray()
    with _get(url, {}, connections) as response:
        if response.status_code != HTTPStatus.OK:
            raise SourceUnavailable(f"the server responded to a request for the file with {response.status_code}")
        if _is_another(file, response):
            raise SourceChanged("the file changed before it was read")
        for chunk in response.iter_content(CHUNK_BYTES):
            received += len(chunk)
            if received > file.size:
                raise SourceChanged("the file grew before it was read")
            part += chunk
            while len(part) >= part_size:
                with memoryview(part) as view:
                    # A slice of the bytearray itself would be one more copy.
                    whole = bytes(view[:part_size])
                del part[:part_size]
                yield whole
    if received != file.size:
        raise SourceUnavailable(f"{received} of {file.size} bytes came")
    if part:
        yield bytes(part)
