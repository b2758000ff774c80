"""Bring a recording's file into our storage: what the tasks of the processing workflow decide.

Each is safe to repeat: a part that is stored is not stored again, a file that is whole is not copied again, and a
recording that has moved on is left as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import md5, sha256
from typing import Final, Protocol, TypedDict
from urllib.parse import quote

from recordings.domain.errors import (
    CaptureFailed,
    ChecksumMismatch,
    ConcurrentUpdate,
    ProviderNotFound,
    SourceExpired,
    SourceUnavailable,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Progress, Recording, StoredFile
from recordings.ports import Capture, CaptureStatus, Clock, Recorder, Recordings

MIB: Final = 1024 * 1024
# Below this one request carries the file; from it on, parts of at least this size do.
SINGLE_BELOW: Final = 16 * MIB
# R2 takes 10,000 parts, all but the last of one size (R2, multipart-objects); some are kept in reserve.
MOST_PARTS: Final = 9_000
# At 20 MB/s a segment takes under two minutes of a function's time.
SEGMENT_BYTES: Final = 2 * 1024 * MIB
THREADS: Final = 4
TRIES: Final = 5


class Work(TypedDict):
    """Which recording, and which attempt at it, a run is about."""

    tenant_id: str
    recording_id: str
    attempt: int


class Plan(TypedDict):
    """How a file is copied. `upload_id` is empty for a single request; segments are part numbers, both included."""

    key: str
    size: int
    etag: str | None
    ranges: bool
    part_size: int
    upload_id: str
    segments: list[list[int]]


class Source(Protocol):
    """The file at a URL."""

    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str | None: ...
    @property
    def ranges(self) -> bool: ...


class Reader(Protocol):
    """Reads Cloudflare's presigned URLs. Raises SourceChanged or SourceUnavailable."""

    def measure(self, url: str) -> Source: ...
    def read(self, url: str, plan: Plan, first: int, last: int) -> bytes: ...
    def stream(self, url: str, plan: Plan) -> Iterator[bytes]: ...


class Files(Protocol):
    """Our storage. Raises ChecksumMismatch when what it stored is not what it was given."""

    def head(self, key: str) -> tuple[int, str] | None: ...
    def read(self, key: str, first: int, last: int) -> bytes: ...
    def put(self, key: str, content: bytes, *, content_type: str) -> str: ...
    def create_upload(self, key: str, *, content_type: str) -> str: ...
    def upload_part(self, key: str, upload_id: str, number: int, content: bytes) -> str: ...
    def parts(self, key: str, upload_id: str) -> Mapping[int, tuple[int, str]] | None: ...
    def complete(self, key: str, upload_id: str, etags: Mapping[int, str]) -> None: ...
    def abort(self, key: str, upload_id: str) -> None: ...


def object_key(recording: Recording) -> str:
    """Where an attempt writes: a key of its own, so that a retry can never overwrite a better file."""
    parts = (recording.tenant_id, recording.room_id, recording.id, str(recording.attempt), "recording.mp4")
    return "/".join(quote(part, safe="") for part in parts)


def part_size_for(size: int) -> int:
    """The equal part size for a file: a whole number of MiB, at least SINGLE_BELOW, at most MOST_PARTS of them."""
    return max(SINGLE_BELOW, -(-size // (MOST_PARTS * MIB)) * MIB)


def segments_for(size: int, part_size: int, *, ranges: bool) -> list[list[int]]:
    """Runs of parts for one function each. A file that cannot be read in ranges is one run."""
    parts = max(1, -(-size // part_size))
    run = max(1, SEGMENT_BYTES // part_size) if ranges else parts
    return [[first, min(first + run - 1, parts)] for first in range(1, parts + 1, run)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpload:
    """Has Cloudflare finished the file?"""

    recordings: Recordings
    recorder: Recorder
    clock: Clock
    stall_after: timedelta

    def __call__(self, work: Work, *, token: str, wait: timedelta) -> dict[str, object] | None:
        """Give the answer, or None: then the token is kept, and a webhook or the time-out makes the run look again.

        Raises CaptureFailed when there will be no file.
        """
        recording = self.recordings.get(work["tenant_id"], work["recording_id"])
        if recording.status not in {Status.RECORDING, Status.PROCESSING}:
            return {"state": "over"}
        answer = self._look(recording)
        if answer is not None:
            return answer
        now = self.clock()
        deadline = (recording.stopped_at or now) + self.stall_after
        if now >= deadline:
            return {"state": "stalled"}
        self.recordings.keep_token(recording, token)
        self.recordings.note_progress(
            recording,
            Progress(
                step="waiting_for_upload",
                attempt=recording.attempt,
                next_step_due=now + wait,
                stuck_after=deadline,
            ),
        )
        # A webhook that came between the look and the token woke nobody.
        answer = self._look(recording)
        if answer is not None:
            self.recordings.take_token(recording)
        return answer

    def _look(self, recording: Recording) -> dict[str, object] | None:
        capture = _capture_of(self.recorder, recording)
        if capture.status.running:
            return None
        if recording.status is Status.RECORDING:
            ended = recording.ended(at=capture.stopped_at or self.clock(), cause="capture_ended")
            try:
                self.recordings.save(recording, ended)
            except ConcurrentUpdate:
                # A stop or a webhook stored it first.
                pass
        if capture.status is CaptureStatus.UPLOADED or (
            capture.status is CaptureStatus.ERRORED and capture.download_url is not None
        ):
            return {"state": "uploaded", "partial": capture.status is CaptureStatus.ERRORED}
        if capture.status is CaptureStatus.ERRORED:
            raise CaptureFailed("Cloudflare could not record or upload it")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTransfer:
    """Measure the file and decide how it is copied."""

    recordings: Recordings
    recorder: Recorder
    files: Files
    reader: Reader
    clock: Clock

    def __call__(self, work: Work) -> Plan:
        """Raises SourceExpired or SourceUnavailable."""
        recording = self.recordings.get(work["tenant_id"], work["recording_id"])
        url = _url(self.recorder, recording, self.clock())
        source = self.reader.measure(url)
        key, part_size = object_key(recording), part_size_for(source.size)
        upload_id = ""
        if source.size >= SINGLE_BELOW:
            upload_id = self.files.create_upload(key, content_type="video/mp4")
        self.recordings.note_progress(
            recording,
            Progress(step="copying", attempt=recording.attempt, bytes_done=0, bytes_total=source.size),
        )
        return Plan(
            key=key,
            size=source.size,
            etag=source.etag,
            ranges=source.ranges,
            part_size=part_size,
            upload_id=upload_id,
            segments=segments_for(source.size, part_size, ranges=source.ranges),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySegment:
    """Copy a run of parts, each read whole and then stored: two buffers a thread at most."""

    recordings: Recordings
    recorder: Recorder
    files: Files
    reader: Reader
    clock: Clock

    def __call__(self, work: Work, plan: Plan, segment: list[int]) -> int:
        """Give the number of parts copied now. Raises SourceChanged, SourceUnavailable, SourceExpired, ChecksumMismatch."""
        recording = self.recordings.get(work["tenant_id"], work["recording_id"])
        url = _url(self.recorder, recording, self.clock())
        if not plan["upload_id"]:
            content = self.reader.read(url, plan, 0, plan["size"] - 1) if plan["ranges"] and plan["size"] else b""
            if not plan["ranges"]:
                content = b"".join(self.reader.stream(url, plan))
            self.files.put(plan["key"], content, content_type="video/mp4")
            return 1
        done = self.files.parts(plan["key"], plan["upload_id"])
        if done is None:
            if self.files.head(plan["key"]) is not None:
                return 0
            raise SourceUnavailable("the upload was dropped before it was complete")
        if not plan["ranges"]:
            return self._in_order(url, plan, done)
        missing = [n for n in range(segment[0], segment[1] + 1) if done.get(n, (-1, ""))[0] != _length(plan, n)]
        with ThreadPoolExecutor(THREADS) as threads:
            # list() hears of every failure; the parts that were stored stay stored for the next try.
            return len(list(threads.map(lambda number: self._copy(url, plan, number), missing)))

    def _copy(self, url: str, plan: Plan, number: int) -> None:
        first = (number - 1) * plan["part_size"]
        content = self.reader.read(url, plan, first, first + _length(plan, number) - 1)
        self.files.upload_part(plan["key"], plan["upload_id"], number, content)

    def _in_order(self, url: str, plan: Plan, done: Mapping[int, tuple[int, str]]) -> int:
        copied = 0
        for number, content in enumerate(self.reader.stream(url, plan), start=1):
            if done.get(number) != (len(content), md5(content, usedforsecurity=False).hexdigest()):
                self.files.upload_part(plan["key"], plan["upload_id"], number, content)
                copied += 1
        return copied


def _length(plan: Plan, number: int) -> int:
    return min(plan["part_size"], plan["size"] - (number - 1) * plan["part_size"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTransfer:
    """Make one object of the parts."""

    files: Files

    def __call__(self, plan: Plan) -> str | None:
        """Give the ETag that the whole object must have. Raises SourceUnavailable when parts are missing."""
        if not plan["upload_id"]:
            return None
        parts = self.files.parts(plan["key"], plan["upload_id"])
        if parts is None:
            # A repeat: the object is there already, or Verify will miss it.
            return None
        wanted = range(1, plan["segments"][-1][1] + 1)
        if [parts[n][0] for n in wanted if n in parts] != [_length(plan, n) for n in wanted]:
            raise SourceUnavailable("parts are missing")
        etags = {number: parts[number][1] for number in wanted}
        self.files.complete(plan["key"], plan["upload_id"], etags)
        # The ETag of a multipart object is the MD5 of its parts' MD5s (R2, multipart-objects, "ETags").
        digest = md5(b"".join(bytes.fromhex(etags[n]) for n in wanted), usedforsecurity=False).hexdigest()
        return f"{digest}-{len(etags)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTransfer:
    """Is what we stored what we read?"""

    files: Files
    content_type_of: Callable[[bytes], str]
    duration_of: Callable[[Callable[[int, int], bytes], int], int | None]

    def __call__(self, plan: Plan, etag: str | None) -> dict[str, object]:
        """Give the facts of the stored file. Raises ChecksumMismatch."""
        found = self.files.head(plan["key"])
        if found is None or found[0] != plan["size"]:
            raise ChecksumMismatch(f"{found[0] if found else 'no'} bytes are stored of {plan['size']}")
        if etag is not None and found[1] != etag:
            raise ChecksumMismatch(f"the object's ETag is {found[1]}, its parts' is {etag}")
        size, key = plan["size"], plan["key"]
        head = self.files.read(key, 0, min(15, size - 1)) if size else b""
        kind = self.content_type_of(head)
        # The whole is only read back where that is one small request; larger files are checked part by part.
        whole = self.files.read(key, 0, size - 1) if 0 < size < SINGLE_BELOW else None
        seconds = None
        if kind == "video/mp4":
            seconds = self.duration_of(lambda first, last: self.files.read(key, first, last), size)
        return {
            "size": size,
            "content_type": kind,
            "duration": seconds,
            "checksum": sha256(whole).hexdigest() if whole is not None else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReady:
    recordings: Recordings
    recorder: Recorder
    clock: Clock

    def __call__(
        self,
        work: Work,
        *,
        key: str,
        size: int,
        content_type: str,
        checksum: str | None,
        seconds: int | None,
        partial: bool,
    ) -> Status:
        """Store that the file is ours; Cloudflare's duration goes before the file's own."""
        recording = self.recordings.get(work["tenant_id"], work["recording_id"])
        told = _capture_of(self.recorder, recording).duration_seconds
        file = StoredFile(provider="r2", key=key, size_bytes=size, content_type=content_type, checksum=checksum)
        return _save(
            self.recordings,
            work,
            lambda one: one.stored(
                file,
                duration_seconds=told if told is not None else seconds,
                partial=partial,
                at=self.clock(),
                cause="file_verified",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFailed:
    recordings: Recordings
    clock: Clock

    def __call__(self, work: Work, failure: Failure) -> Status:
        """Store that there will be no file, and why."""
        return _save(self.recordings, work, lambda one: one.failed(failure, at=self.clock(), cause=failure.code))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkStalled:
    recordings: Recordings

    def __call__(self, work: Work) -> None:
        """Flag a recording whose run gave up: it stays `processing` and can be recovered."""
        recording = self.recordings.get(work["tenant_id"], work["recording_id"])
        step = recording.progress or Progress(step="stalled", attempt=recording.attempt)
        self.recordings.note_progress(recording, replace(step, step="stalled", next_step_due=None), stalled=True)


def _save(recordings: Recordings, work: Work, change: Callable[[Recording], Recording]) -> Status:
    for attempt in range(TRIES):
        before = recordings.get(work["tenant_id"], work["recording_id"])
        after = change(before)
        if after is before:
            break
        try:
            recordings.save(before, after)
            return after.status
        except ConcurrentUpdate:
            if attempt == TRIES - 1:
                raise
    return before.status


def _capture_of(recorder: Recorder, recording: Recording) -> Capture:
    if recording.cloudflare_id is None:
        raise CaptureFailed("Cloudflare never gave it an id")
    try:
        return recorder.get(recording.cloudflare_id)
    except ProviderNotFound:
        raise CaptureFailed("Cloudflare no longer knows it") from None


def _url(recorder: Recorder, recording: Recording, now: datetime) -> str:
    """A fresh URL of the file."""
    capture = _capture_of(recorder, recording)
    if capture.url_expires_at is not None and capture.url_expires_at <= now:
        raise SourceExpired("Cloudflare keeps a file for seven days, and they are over")
    if capture.download_url is None:
        raise SourceUnavailable("Cloudflare gives no URL for the file")
    return capture.download_url
