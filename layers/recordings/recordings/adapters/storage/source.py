"""Bytes from Cloudflare's presigned URLs and from our buckets, by ranged reads that survive broken connections."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import requests
from urllib3.exceptions import HTTPError

from recordings.adapters.storage.bucket import Bucket, read_on
from recordings.adapters.storage.download import DownloadRules, opened
from recordings.domain.errors import RangesRefused, SourceChanged, SourceDenied, SourceUnavailable
from recordings.services.transfer.transfer_file import Plan, length_of

CHUNK: Final = 1024 * 1024
# How long a file without Content-Length is read only to count its bytes; the function that does it ends at 60 seconds.
MAX_COUNTING_SECONDS: Final = 30
# RFC 9110, section 14.4: the total may be unknown.
CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file at a URL: its size in bytes, its strong ETag and its Last-Modified if it has them, and whether it can be
    read in ranges."""

    size: int
    etag: str | None
    ranges: bool
    modified: str | None = None


def measure(url: str, rules: DownloadRules) -> SourceFile:
    """Ask for one byte: a presigned GET URL may refuse HEAD. Where that does not show the size, ask for the whole file.

    Raises SourceNotAllowed or SourceUnavailable.
    """
    with _get(url, {"Range": "bytes=0-0"}, rules) as answer:
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        match answer.status_code:
            case HTTPStatus.PARTIAL_CONTENT if total.isdecimal():
                return _source_file(int(total), answer, ranges=True)
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if total == "0":
                return _source_file(0, answer, ranges=True)
            case HTTPStatus.OK:
                return _source_file(_size_of(answer), answer, ranges=False)
            case HTTPStatus.PARTIAL_CONTENT | HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # A server whose ranges show no size is read without them.
                pass
            case status:
                raise SourceUnavailable(f"the file's size could not be learned: {status}")
    with _get(url, {}, rules) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise SourceUnavailable(f"the file's size could not be learned: {answer.status_code}")
        return _source_file(_size_of(answer), answer, ranges=False)


@contextmanager
def _get(url: str, headers: Mapping[str, str], rules: DownloadRules) -> Iterator[requests.Response]:
    """A response whose body has not been read yet. Raises SourceNotAllowed or SourceUnavailable."""
    try:
        with opened(url, {"Accept-Encoding": "identity", **headers}, rules) as answer:
            yield answer
    except requests.RequestException as error:
        # Its text would hold the signed URL.
        raise SourceUnavailable(f"the file could not be reached: {type(error).__name__}") from None


def _source_file(size: int, answer: requests.Response, *, ranges: bool) -> SourceFile:
    etag = answer.headers.get("ETag")
    strong = etag if etag and not etag.startswith("W/") else None
    return SourceFile(size, strong, ranges, answer.headers.get("Last-Modified"))


def _size_of(answer: requests.Response) -> int:
    """The bytes of a whole response, counted where Content-Length does not give them. Raises SourceUnavailable."""
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and answer.headers.get("Content-Encoding", "identity") == "identity":
        return int(length)
    size, until = 0, time.monotonic() + MAX_COUNTING_SECONDS
    for chunk in answer.iter_content(CHUNK):
        size += len(chunk)
        if time.monotonic() > until:
            raise SourceUnavailable("the file's size is not given, and counting its bytes takes too long")
    return size


def read(url: str, source: SourceFile, first: int, last: int, rules: DownloadRules) -> bytes:
    """The bytes from `first` to `last`, both included; a broken connection goes on where it broke.

    Raises SourceNotAllowed when the URL may not be fetched, SourceChanged when the file is no longer the one measured,
    RangesRefused when the server does not answer with the range, SourceUnavailable when it cannot be read.
    """
    return read_on(
        lambda got: _fill(got, url, source, first, last, rules),
        last - first + 1,
        (requests.RequestException, HTTPError),
    )


def _fill(got: bytearray, url: str, source: SourceFile, first: int, last: int, rules: DownloadRules) -> None:
    """Append what is still missing of `first` to `last`."""
    first += len(got)
    headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
    condition = _condition(source)
    with opened(url, headers | condition, rules) as answer:
        if answer.status_code != HTTPStatus.PRECONDITION_FAILED or not condition:
            return _take(got, answer, source, first, last)
    # A strong ETag that the server now calls weak fails If-Match (RFC 9110, section 13.1.1), as another file does: the
    # answer without the condition shows which.
    with opened(url, headers, rules) as answer:
        if answer.status_code == HTTPStatus.PARTIAL_CONTENT and not _is_same(source, answer):
            raise SourceChanged("the file changed while it was read")
        _take(got, answer, source, first, last)


def _condition(source: SourceFile) -> dict[str, str]:
    if source.etag:
        return {"If-Match": source.etag}
    if source.modified and _moment(source.modified) is not None:
        return {"If-Unmodified-Since": source.modified}
    return {}


def _take(got: bytearray, answer: requests.Response, source: SourceFile, first: int, last: int) -> None:
    """Append the body of a response to a range request."""
    match answer.status_code:
        case HTTPStatus.PARTIAL_CONTENT:
            pass
        case HTTPStatus.PRECONDITION_FAILED | HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise SourceChanged("the file changed while it was read")
        case HTTPStatus.FORBIDDEN:
            raise SourceDenied("the URL may not be read any more")
        case HTTPStatus.OK:
            raise RangesRefused("a range was answered with the whole file")
        case status:
            raise SourceUnavailable(f"a range was answered with {status}")
    found = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None:
        raise RangesRefused("an answer does not show which range it is")
    if found[3] not in ("*", str(source.size)):
        raise SourceChanged("the file's size changed while it was read")
    if int(found[1]) != first or int(found[2]) > last:
        raise RangesRefused("another range was answered than was asked for")
    if _is_another(source, answer):
        raise SourceChanged("the file changed while it was read")
    left = int(found[2]) - first + 1
    # read1 gives what is there: reading whole chunks would lose the last one whenever the connection breaks.
    while chunk := answer.raw.read1(CHUNK):
        left -= len(chunk)
        if left < 0:
            raise RangesRefused("more bytes came than the answer had announced")
        got += chunk


def _is_another(source: SourceFile, answer: requests.Response) -> bool:
    """Whether a response shows that it is of another file; not every server heeds a condition."""
    etag, modified = answer.headers.get("ETag"), _moment(answer.headers.get("Last-Modified"))
    if source.etag and etag:
        return _opaque(etag) != _opaque(source.etag)
    before = _moment(source.modified)
    return before is not None and modified is not None and modified != before


def _is_same(source: SourceFile, answer: requests.Response) -> bool:
    """Whether a response shows that it is of the same file."""
    etag, modified = answer.headers.get("ETag"), _moment(answer.headers.get("Last-Modified"))
    if source.etag and etag:
        return _opaque(etag) == _opaque(source.etag)
    return modified is not None and modified == _moment(source.modified)


def _opaque(etag: str) -> str:
    """An ETag for the weak comparison of RFC 9110, section 8.8.3.2: the same file may be called strong and weak."""
    return etag.removeprefix("W/")


def _moment(value: str | None) -> datetime | None:
    """An HTTP date in any of its three forms (RFC 9110, section 5.6.7), or None when it is none."""
    try:
        found = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    return found.astimezone(UTC) if found and found.tzinfo else found and found.replace(tzinfo=UTC)


def stream(url: str, source: SourceFile, part_size: int, rules: DownloadRules) -> Iterator[bytes]:
    """A file that cannot be read in ranges, in parts of `part_size`.

    Raises SourceNotAllowed, SourceChanged or SourceUnavailable.
    """
    got, part = 0, bytearray()
    with _get(url, {}, rules) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise SourceUnavailable(f"the file was answered with {answer.status_code}")
        if _is_another(source, answer):
            raise SourceChanged("the file changed before it was read")
        for chunk in answer.iter_content(CHUNK):
            got += len(chunk)
            if got > source.size:
                raise SourceChanged("the file grew before it was read")
            part += chunk
            while len(part) >= part_size:
                with memoryview(part) as view:
                    # A slice of the buffer itself would be one copy more.
                    whole = bytes(view[:part_size])
                del part[:part_size]
                yield whole
    if got != source.size:
        raise SourceUnavailable(f"{got} of {source.size} bytes came")
    if part:
        yield bytes(part)


class UrlReader:
    """Implements transfer_file.Reader; a place is a URL, which must keep to the rules of the environment."""

    def __init__(self) -> None:
        self._rules = DownloadRules.from_settings()

    def measure(self, place: str) -> SourceFile:
        return measure(place, self._rules)

    def read(self, place: str, plan: Plan, first: int, last: int) -> bytes:
        return read(place, _planned(plan), first, last, self._rules)

    def stream(self, place: str, plan: Plan) -> Iterator[bytes]:
        return stream(place, _planned(plan), plan["part_size"], self._rules)


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
