"""Bring a recording's file from Cloudflare into R2: what the tasks of the processing workflow decide.

Each is safe to repeat, and a run whose recording has moved on, or is at another attempt by now, changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.capture import Capture, CaptureStatus
from recordings.domain.errors import (
    CaptureFailed,
    ConcurrentUpdate,
    ProviderNotFound,
    SourceExpired,
    SourceUnavailable,
)
from recordings.domain.lifecycle import Status
from recordings.domain.media import recording_duration
from recordings.domain.recording import Failure, Progress, Recording, StoredFile
from recordings.domain.storage_keys import attempt_key, recording_prefix
from recordings.ports import Clock, Recorder, Recordings
from recordings.services.change_recording import changed
from recordings.services.transfer_file import (
    SEGMENTS_AT_ONCE,
    Files,
    Plan,
    Reader,
    Work,
    drop_unfinished,
    plan_for,
    plan_without_copying,
)

CONTENT_TYPE: Final = "video/mp4"
# How long a round of segments, some at once, may take with what it has to repeat.
ROUND: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpload:
    """Has Cloudflare finished the file?"""

    recordings: Recordings
    recorder: Recorder
    files: Files
    clock: Clock
    stall_after: timedelta

    def __call__(self, work: Work, *, token: str, wait: timedelta) -> dict[str, object] | None:
        """Give the answer, or None: then the token is kept, and a webhook or the time-out makes the run look again.

        Raises CaptureFailed when there will be no file.
        """
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        if _is_over(recording, work):
            return {"state": "over"}
        answer = self._look(recording)
        if answer is not None:
            return answer
        now = self.clock()
        waiting_since = max(recording.stopped_at or now, recording.recovered_at or recording.started_at)
        deadline = waiting_since + self.stall_after
        if now >= deadline:
            # Cloudflare does not say that it is done; what lies in our bucket lies there whole.
            return {"state": "uploaded", "partial": False} if self._is_delivered(recording) else {"state": "stalled"}
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
        try:
            capture = _capture_of(self.recorder, recording)
        except CaptureFailed:
            if self._is_delivered(recording):
                return {"state": "uploaded", "partial": False}
            raise
        if capture.status.running:
            return None
        if recording.status is Status.RECORDING:
            ended = recording.ended(at=capture.stopped_at or self.clock(), cause="capture_ended")
            try:
                self.recordings.save(recording, ended)
            except ConcurrentUpdate:
                # A stop or a webhook stored it first.
                pass
        match capture.status:
            case CaptureStatus.UPLOADED:
                return {"state": "uploaded", "partial": False}
            case CaptureStatus.ERRORED:
                # Errored or not, what can be had is had.
                if capture.download_url is not None or self._is_delivered(recording):
                    return {"state": "uploaded", "partial": True}
                raise CaptureFailed("Cloudflare could not record or upload it")
            case _:
                return None

    def _is_delivered(self, recording: Recording) -> bool:
        return recording.delivery_key is not None and self.files.head(recording.delivery_key) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTransfer:
    """Measure the file and decide how it is copied; what Cloudflare put into our bucket need not be."""

    recordings: Recordings
    recorder: Recorder
    files: Files
    reader: Reader
    clock: Clock

    def __call__(self, work: Work, *, ranges: bool = True) -> Plan:
        """Without `ranges` the source is read as one stream: it has refused what it had announced.

        Raises SourceExpired, SourceUnavailable or CaptureFailed.
        """
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        plan = self._delivered(recording) or self._fetched(recording, ranges=ranges)
        self.recordings.note_progress(recording, copying(plan, recording.attempt, self.clock()))
        return plan

    def _fetched(self, recording: Recording, *, ranges: bool) -> Plan:
        url = fresh_url(self.recorder, recording, self.clock())
        return plan_for(
            self.reader.measure(url),
            self.files,
            place="",
            key=attempt_key(recording),
            family=recording_prefix(recording),
            content_type=CONTENT_TYPE,
            ranges=ranges,
        )

    def _delivered(self, recording: Recording) -> Plan | None:
        """A plan without segments, when the file that Cloudflare delivered is whole; else it is fetched."""
        key = recording.delivery_key
        found = self.files.head(key) if key is not None else None
        if key is None or found is None:
            return None
        try:
            told = _capture_of(self.recorder, recording).size_bytes
        except CaptureFailed:
            told = None
        if told is not None and told != found[0]:
            return None
        # An attempt before this one may have begun to fetch it.
        drop_unfinished(self.files, recording_prefix(recording))
        return plan_without_copying("", key, found, CONTENT_TYPE, None, read=True)


def copying(plan: Plan, attempt: int, now: datetime) -> Progress:
    """What a copy that begins now has to tell of itself: nothing done yet, and the time it may take at most."""
    rounds = -(-len(plan["segments"]) // SEGMENTS_AT_ONCE)
    step = "checking" if plan["present"] else "copying"
    return Progress(
        step=step, attempt=attempt, bytes_done=0, bytes_total=plan["size"], stuck_after=now + ROUND * rounds
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCopied:
    """Tell the recording how far its copy is (transfer_file.Progressing)."""

    recordings: Recordings

    def __call__(self, work: Work, copied: int) -> None:
        self.recordings.add_progress(work["tenant_id"], work["recording_id"], attempt=work["attempt"], copied=copied)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudflareUrl:
    """Where the file of a recording can be read now (transfer_file.Locate)."""

    recordings: Recordings
    recorder: Recorder
    clock: Clock

    def __call__(self, work: Work, plan: Plan) -> str:
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        return fresh_url(self.recorder, recording, self.clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReady:
    recordings: Recordings
    recorder: Recorder
    clock: Clock

    def __call__(self, work: Work, file: StoredFile, *, seconds: int | None, partial: bool) -> Status:
        """Store that the file is ours. `seconds` is the file's own duration; which one counts: `recording_duration`."""
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        try:
            told = _capture_of(self.recorder, recording).duration_seconds
        except CaptureFailed:
            told = None
        return _save(
            self.recordings,
            work,
            lambda one: one.stored(
                file,
                duration_seconds=recording_duration(told, seconds, partial=partial),
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
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        if _is_over(recording, work):
            return
        step = recording.progress or Progress(step="stalled", attempt=recording.attempt)
        self.recordings.note_progress(recording, replace(step, step="stalled", next_step_due=None), stalled=True)


def _is_over(recording: Recording, work: Work) -> bool:
    return recording.status not in {Status.RECORDING, Status.PROCESSING} or recording.attempt != work["attempt"]


def _save(recordings: Recordings, work: Work, change: Callable[[Recording], Recording]) -> Status:
    return changed(
        recordings,
        lambda: recordings.find(work["tenant_id"], work["recording_id"]),
        lambda one: change(one) if one.attempt == work["attempt"] else one,
    ).status


def _capture_of(recorder: Recorder, recording: Recording) -> Capture:
    if recording.cloudflare_id is None:
        raise CaptureFailed("Cloudflare never gave it an id")
    try:
        return recorder.get(recording.cloudflare_id)
    except ProviderNotFound:
        raise CaptureFailed("Cloudflare no longer knows it") from None


def fresh_url(recorder: Recorder, recording: Recording, now: datetime) -> str:
    """A URL of the file that can be read now. Raises SourceExpired, SourceUnavailable or CaptureFailed."""
    capture = _capture_of(recorder, recording)
    if capture.url_expires_at is not None and capture.url_expires_at <= now:
        raise SourceExpired("Cloudflare keeps a file for seven days, and they are over")
    if capture.download_url is None:
        raise SourceUnavailable("Cloudflare gives no URL for the file")
    return capture.download_url
