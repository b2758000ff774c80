"""Downloading a file, although connections break, URLs expire and files change.

`<name>.part` has the bytes so far. `<name>.part.json` has the recording's id, the size and the storage's ETag, so that
a later call continues only with the same file. Only a file of the expected size gets its final name.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx

from recordings_client import calls
from recordings_client.effects import Answer, Fetch, Steps, Wait
from recordings_client.errors import DownloadFailed
from recordings_client.models import Download
from recordings_client.policy import Policy

# Called with the number of bytes so far and in total.
ProgressCallback: TypeAlias = Callable[[int, int], None]

# Statuses for another ETag, and for a range beyond the end of the file.
CHANGED: Final = frozenset({412, 416})

# The file name in a Content-Disposition (RFC 6266, 4.1), with an extension that every file system accepts.
FILE_NAME: Final = re.compile(r'filename="[^"]*\.([A-Za-z0-9]{1,8})"')


class _Changed(Exception):
    """The file at the URL is not the one whose download began."""


class _Part:
    """The unfinished file, and how much of it is there."""

    def __init__(self, target: Path, link: Download, progress: ProgressCallback | None) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.recording_id, self.size = link.recording_id, link.file_size
        self.offset, self.etag, self.is_started = 0, "", False
        self._progress = progress
        self._file: BinaryIO | None = None

    @property
    def complete(self) -> bool:
        return self.is_started and self.offset == self.size

    def recall(self) -> None:
        """Continue where an earlier call stopped, if that was the same file."""
        try:
            note = json.loads(self.note.read_text("utf-8"))
            offset = self.path.stat().st_size
        except (OSError, ValueError):
            return
        same = isinstance(note, dict) and (note.get("recording_id"), note.get("size")) == (self.recording_id, self.size)
        if same and isinstance(note.get("etag"), str) and note["etag"] and 0 < offset <= self.size:
            self.offset, self.etag, self.is_started = offset, note["etag"], True
            self._report()

    def start_over(self, size: int) -> None:
        self.offset, self.etag, self.is_started, self.size = 0, "", False, size

    def headers(self) -> dict[str, str]:
        # Offsets count the bytes of the file, not of a compressed response.
        headers = {"Accept-Encoding": "identity"}
        if self.offset:
            headers |= {"Range": f"bytes={self.offset}-", "If-Match": self.etag}
        return headers

    def receive(self, status: int, headers: httpx.Headers) -> Callable[[bytes], None] | None:
        if status == 206 and self.offset:
            place = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("content-range", "").strip())
            if place is None or (int(place[1]), int(place[2])) != (self.offset, self.size):
                raise _Changed
            # Append mode would mix the bytes of another download into the same file with these.
            self._file = self.path.open("r+b")
            self._file.seek(self.offset)
            return self._take
        if status == 200:
            if headers.get("content-length", str(self.size)) != str(self.size):
                raise _Changed
            etag = headers.get("etag", "")
            self.offset, self.is_started = 0, True
            # Files with the same weak ETag can differ in bytes (RFC 9110, 8.8.1), so their parts cannot be joined.
            self.etag = etag if etag.startswith('"') else ""
            note = {"recording_id": self.recording_id, "etag": self.etag, "size": self.size}
            self._file = self.path.open("wb")
            self.note.write_text(json.dumps(note), "utf-8")
            self._report()
            return self._take
        return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def become(self, target: Path) -> None:
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self.note.unlink(missing_ok=True)

    def _take(self, chunk: bytes) -> None:
        if self.offset + len(chunk) > self.size:
            raise _Changed
        assert self._file is not None
        self._file.write(chunk)
        self.offset += len(chunk)
        self._report()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self.offset, self.size)


def _extension(url: str) -> str:
    """Return the extension of the file name in the URL; `mp4` if there is none."""
    disposition = parse_qs(urlsplit(url).query).get("response-content-disposition", [""])[0]
    named = FILE_NAME.search(disposition)
    return named[1] if named else "mp4"


def download(
    policy: Policy,
    recording_id: str,
    to_path: str | os.PathLike[str],
    *,
    resume: bool = True,
    progress: ProgressCallback | None = None,
    expires_in: int | None = None,
) -> Steps[Path]:
    target = Path(to_path)
    link = yield from calls.download_url(policy, recording_id, expires_in=expires_in)
    if target.is_dir():
        target /= f"{recording_id}.{_extension(link.download_url)}"
    part = _Part(target, link, progress)
    if resume:
        part.recall()
    # Attempts since the last byte, and restarts from byte 0. Both have a limit, so that the download ends.
    tries, restarts = 0, 0
    while not part.complete:
        before = part.offset
        outcome = yield from _fetch_rest(link.download_url, part)
        if part.complete and not outcome.changed:
            break
        tries = 0 if part.offset > before else tries + 1
        # Without an ETag, the rest may belong to another version of the file.
        if outcome.changed or (part.offset and not part.etag):
            restarts += 1
            part.start_over(link.file_size)
        if max(tries, restarts) > policy.retries or (outcome.pause or 0) > policy.longest_wait:
            raise outcome.error(part)
        if outcome.needs_url:
            link = yield from calls.download_url(policy, recording_id, expires_in=expires_in)
            if link.file_size != part.size:
                part.start_over(link.file_size)
        else:
            yield from _jittered_pause(outcome, policy, tries)
    part.become(target)
    return target


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a request for the rest of the file ended. `changed`: it was not the same file any more."""

    reason: str
    changed: bool
    response: Answer | None = None

    @property
    def pause(self) -> float | None:
        """The seconds of Retry-After."""
        return self.response.retry_after if self.response is not None else None

    @property
    def needs_url(self) -> bool:
        """Whether the URL has expired or the file was moved. The API has the current URL."""
        status = self.response.status if self.response is not None else 0
        return 400 <= status < 500 and status != 429 and not self.changed

    def error(self, part: _Part) -> DownloadFailed:
        return DownloadFailed(
            f"The file could not be downloaded: {self.reason}; {part.offset} of {part.size} bytes are there.",
            status=self.response.status if self.response else None,
            retry_after=self.pause,
        )


def _jittered_pause(outcome: _Outcome, policy: Policy, tries: int) -> Steps[None]:
    if outcome.pause is not None:
        yield Wait(outcome.pause)
    elif tries:
        yield Wait(policy.pause(tries - 1))


def _fetch_rest(url: str, part: _Part) -> Steps[_Outcome]:
    try:
        response: Answer = yield Fetch(url=url, headers=part.headers(), receive=part.receive)
    except httpx.HTTPError as error:
        return _Outcome(f"the connection broke ({type(error).__name__})", changed=False)
    except _Changed:
        return _Outcome("the file at the source has changed", changed=True)
    finally:
        part.close()
    ended_early = 200 <= response.status < 300
    reason = "it ended too early" if ended_early else f"the storage answered {response.status}"
    return _Outcome(reason, changed=response.status in CHANGED, response=response)
