"""A file on disk, whatever happens to the connection, the address or the file meanwhile.

The bytes are gathered in `<name>.part`. Beside it `<name>.part.json` says whose they are and which ETag the storage
gave, so that a later call goes on only with the same file. Only what has the promised size gets the wanted name.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx

from recordings_client import calls
from recordings_client.effects import Answer, Fetch, Steps, Wait
from recordings_client.errors import DownloadFailed
from recordings_client.models import Download
from recordings_client.policy import Policy

# Called with the bytes that are there and the bytes there will be.
ProgressCallback: TypeAlias = Callable[[int, int], None]

# The ETag is no longer that one, or the file no longer so long.
CHANGED: Final = frozenset({412, 416})

# The name in a Content-Disposition (RFC 6266, 4.1), with an extension that is safe in any file system.
FILE_NAME: Final = re.compile(r'filename="[^"]*\.([A-Za-z0-9]{1,8})"')


class _Changed(Exception):
    """The file behind the address is not the one that was begun."""


class _Part:
    """The bytes so far."""

    def __init__(self, target: Path, link: Download, progress: ProgressCallback | None) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.recording_id, self.size = link.recording_id, link.file_size
        self.offset, self.etag, self.begun = 0, "", False
        self._progress = progress
        self._file: BinaryIO | None = None

    @property
    def complete(self) -> bool:
        return self.begun and self.offset == self.size

    def recall(self) -> None:
        """Go on where an earlier call ended, if that was the same file."""
        try:
            note = json.loads(self.note.read_text("utf-8"))
            offset = self.path.stat().st_size
        except (OSError, ValueError):
            return
        same = isinstance(note, dict) and (note.get("recording_id"), note.get("size")) == (self.recording_id, self.size)
        if same and isinstance(note.get("etag"), str) and note["etag"] and 0 < offset <= self.size:
            self.offset, self.etag, self.begun = offset, note["etag"], True
            self._tell()

    def start_over(self, size: int) -> None:
        self.offset, self.etag, self.begun, self.size = 0, "", False, size

    def headers(self) -> dict[str, str]:
        # Compressed on the way, the bytes would not be those of the file.
        wanted = {"Accept-Encoding": "identity"}
        if self.offset:
            wanted |= {"Range": f"bytes={self.offset}-", "If-Match": self.etag}
        return wanted

    def receive(self, status: int, headers: httpx.Headers) -> Callable[[bytes], None] | None:
        if status == 206 and self.offset:
            place = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("content-range", "").strip())
            if place is None or (int(place[1]), int(place[2])) != (self.offset, self.size):
                raise _Changed
            # Not to append: another download into the same file would then mix with this one.
            self._file = self.path.open("r+b")
            self._file.seek(self.offset)
            return self._take
        if status == 200:
            if headers.get("content-length", str(self.size)) != str(self.size):
                raise _Changed
            etag = headers.get("etag", "")
            self.offset, self.begun = 0, True
            # A weak ETag says "about the same", which is not enough to join bytes.
            self.etag = etag if etag.startswith('"') else ""
            note = {"recording_id": self.recording_id, "etag": self.etag, "size": self.size}
            self._file = self.path.open("wb")
            self.note.write_text(json.dumps(note), "utf-8")
            self._tell()
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
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.offset, self.size)


def _extension(url: str) -> str:
    """The extension of the name that the address lets a browser save the file under; `mp4` where it names none."""
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
    """Bring the file to `to_path`, and return where it is. In a directory its name is the recording's id, with the
    extension of what it is (`rec_….mp4`).

    Goes on after a cut connection and with what an earlier call left (`resume`), asks for a new address when the old
    one has expired, and replaces `to_path` only by the whole file. Raises NotReady, RecordingFailed, DownloadFailed.
    """
    target = Path(to_path)
    link = yield from calls.download_url(policy, recording_id, expires_in=expires_in)
    if target.is_dir():
        target /= f"{recording_id}.{_extension(link.download_url)}"
    part = _Part(target, link, progress)
    if resume:
        part.recall()
    # Tries since the last byte, and beginnings anew: each bounded, so that no storage can keep us for ever.
    tries, anew = 0, 0
    while not part.complete:
        before, changed = part.offset, False
        answer: Answer | None = None
        try:
            answer = yield Fetch(url=link.download_url, headers=part.headers(), receive=part.receive)
        except httpx.HTTPError as error:
            reason = f"the connection broke ({type(error).__name__})"
        except _Changed:
            reason, changed = "the file at the source has changed", True
        else:
            reason, changed = _reason(answer.status), answer.status in CHANGED
        finally:
            part.close()
        if part.complete and not changed:
            break
        tries = 0 if part.offset > before else tries + 1
        # Without an ETag nobody can tell whether the rest would belong to what is here.
        if changed or (part.offset and not part.etag):
            anew += 1
            part.start_over(link.file_size)
        pause = answer.retry_after if answer is not None else None
        if tries > policy.retries or anew > policy.retries or (pause or 0) > policy.longest_wait:
            raise DownloadFailed(
                f"The file could not be downloaded: {reason}; {part.offset} of {part.size} bytes are there.",
                status=answer.status if answer else None,
                retry_after=pause,
            )
        if answer is not None and answer.status in range(400, 500) and not changed and answer.status != 429:
            # Expired, or moved to other storage meanwhile; the API knows.
            link = yield from calls.download_url(policy, recording_id, expires_in=expires_in)
            if link.file_size != part.size:
                part.start_over(link.file_size)
        elif pause is not None:
            yield Wait(pause)
        elif tries:
            yield Wait(policy.pause(tries - 1))
    part.become(target)
    return target


def _reason(status: int) -> str:
    return "it ended too early" if 200 <= status < 300 else f"the storage answered {status}"
