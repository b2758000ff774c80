"""Bytes from Cloudflare's presigned URL, by ranged reads that survive broken connections."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import requests

from recordings.domain.errors import SourceChanged, SourceUnavailable
from recordings.services.process_recording import Plan

TIMEOUT_SECONDS: Final = (3, 20)
CHUNK: Final = 1024 * 1024
RESUMES: Final = 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file at a URL: its size in bytes, its strong ETag if it has one, and whether it can be read in ranges."""

    size: int
    etag: str | None
    ranges: bool


def measure(url: str) -> SourceFile:
    """Ask for one byte: a presigned GET URL may refuse HEAD. Raises SourceUnavailable."""
    try:
        with requests.get(
            url, headers={"Range": "bytes=0-0", "Accept-Encoding": "identity"}, timeout=TIMEOUT_SECONDS, stream=True
        ) as answer:
            etag = answer.headers.get("ETag")
            strong = etag if etag and not etag.startswith("W/") else None
            told = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if answer.status_code == HTTPStatus.PARTIAL_CONTENT and told.isdecimal():
                return SourceFile(int(told), strong, True)
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and told == "0":
                return SourceFile(0, strong, True)
            length = answer.headers.get("Content-Length", "")
            if answer.status_code == HTTPStatus.OK and length.isdecimal():
                return SourceFile(int(length), strong, False)
            raise SourceUnavailable(f"the file's size could not be learned: {answer.status_code}")
    except requests.RequestException as error:
        raise SourceUnavailable(f"the file could not be reached: {type(error).__name__}") from None


def read(url: str, source: SourceFile, first: int, last: int) -> bytes:
    """The bytes from `first` to `last`, both included; a broken connection goes on where it broke.

    Raises SourceChanged when the file is no longer the one measured, SourceUnavailable when it cannot be read.
    """
    got = bytearray()
    wanted = last - first + 1
    for _ in range(RESUMES):
        try:
            _fill(got, url, source, first, last)
        except requests.RequestException:
            # What came before the break is in `got`; the next try asks for the rest.
            continue
        if len(got) == wanted:
            return bytes(got)
    raise SourceUnavailable(f"{len(got)} of {wanted} bytes came before giving up")


def _fill(got: bytearray, url: str, source: SourceFile, first: int, last: int) -> None:
    """Append what is still missing of `first` to `last`."""
    first += len(got)
    headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
    if source.etag:
        headers["If-Match"] = source.etag
    with requests.get(url, headers=headers, timeout=TIMEOUT_SECONDS, stream=True) as answer:
        if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
            raise SourceChanged("the file changed while it was read")
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise SourceUnavailable(f"a range was answered with {answer.status_code}")
        if answer.headers.get("Content-Range", "") != f"bytes {first}-{last}/{source.size}":
            raise SourceChanged("the file's size changed while it was read")
        if source.etag and answer.headers.get("ETag", source.etag) != source.etag:
            raise SourceChanged("the file changed while it was read")
        for chunk in answer.iter_content(CHUNK):
            got += chunk


def stream(url: str, source: SourceFile, part_size: int) -> Iterator[bytes]:
    """A file that cannot be read in ranges, in parts of `part_size`. Raises SourceChanged or SourceUnavailable."""
    got, part = 0, bytearray()
    try:
        with requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT_SECONDS, stream=True) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise SourceUnavailable(f"the file was answered with {answer.status_code}")
            if source.etag and answer.headers.get("ETag", source.etag) != source.etag:
                raise SourceChanged("the file changed before it was read")
            for chunk in answer.iter_content(CHUNK):
                got += len(chunk)
                part += chunk
                while len(part) >= part_size:
                    yield bytes(part[:part_size])
                    del part[:part_size]
    except requests.RequestException as error:
        raise SourceUnavailable(f"the connection broke: {type(error).__name__}") from None
    if got != source.size:
        raise SourceUnavailable(f"{got} of {source.size} bytes came")
    if part:
        yield bytes(part)


class UrlReader:
    """Implements process_recording.Reader."""

    def measure(self, url: str) -> SourceFile:
        return measure(url)

    def read(self, url: str, plan: Plan, first: int, last: int) -> bytes:
        return read(url, SourceFile(plan["size"], plan["etag"], plan["ranges"]), first, last)

    def stream(self, url: str, plan: Plan) -> Iterator[bytes]:
        return stream(url, SourceFile(plan["size"], plan["etag"], plan["ranges"]), plan["part_size"])
