"""Bring a recording's file from Cloudflare into R2: what the tasks of the processing workflow decide.

Each is safe to repeat, and a run whose recording has moved on, or is at another attempt by now, changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from recordings.domain.admission import AttemptLimits, next_attempt_at
from recordings.domain.errors import (
    AttemptReplaced,
    ConcurrentUpdate,
    ProviderNotFound,
    ProviderRecordingFailed,
    RecordingNotFound,
    SourceExpired,
    SourceUnavailable,
    Throttled,
    TracksOnly,
)
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import EXPIRED, LOST, TRACKS, Deadlines, FileAssessment, FileState, assess_file
from recordings.domain.recording import Failure, Progress, Recording
from recordings.domain.storage_keys import attempt_key, recording_prefix
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import changed
from recordings.services.sync.missing_since import store_missing_since
from recordings.services.transfer.attempt_files import AttemptFiles, quarantine, remove_attempt_files
from recordings.services.transfer.transfer_file import (
    SEGMENTS_AT_ONCE,
    Announced,
    Files,
    Plan,
    Reader,
    ReadMediaFacts,
    Work,
    drop_unfinished,
    plan_for,
    plan_without_copying,
)

# What an object is stored as before its bytes are here to be looked at. Every URL names the type that was found in
# them, and so does the copy in cold storage.
CONTENT_TYPE: Final = "video/mp4"
# How long a round of segments, some at once, may take with what it has to repeat.
ROUND: Final = timedelta(minutes=15)
# Failures that rest on what Cloudflare says, and that later news of it can take back until they are stored.
BY_NEWS: Final = frozenset({LOST, EXPIRED, TRACKS})


class WorkingFiles(Files, AttemptFiles, Protocol):
    """The store that attempts write into, and clear away from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpload:
    """Has Cloudflare finished the file?"""

    recordings: Recordings
    provider: RecordingProvider
    files: Files
    clock: Clock
    stall_after: timedelta
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, work: Work, *, token: str, wait: timedelta) -> dict[str, object] | None:
        """Give the answer, or None: then the token is kept, and a webhook or the time-out makes the run look again.

        Raises CaptureFailed, SourceExpired or TracksOnly when it is settled that there will be no file.
        """
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
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
        self.recordings.store_task_token(recording, token)
        self.recordings.note_progress(
            recording,
            Progress(
                step="waiting_for_upload",
                attempt=recording.attempt,
                next_step_due=now + wait,
                stuck_after=deadline,
            ),
        )
        # A webhook that came between the look and the token woke nobody. The first look may have changed the recording.
        answer = self._look(self.recordings.get_including_deleted(recording.tenant_id, recording.id))
        if answer is not None:
            # Its own only: a newer attempt may have stored another.
            self.recordings.pop_task_token(recording, only=token)
        return answer

    def _look(self, recording: Recording) -> dict[str, object] | None:
        provider_recording = asked(self.provider, recording)
        if (
            provider_recording is not None
            and not provider_recording.status.running
            and recording.status is Status.RECORDING
        ):
            recording = self._ended(recording, provider_recording)
        news = self._weighed(recording, provider_recording, delivered=False)
        if news.failure is not None and self._is_delivered(recording):
            # Whatever Cloudflare says of it, the bytes lie in our own bucket.
            news = self._weighed(recording, provider_recording, delivered=True)
        store_missing_since(self.recordings, recording, news.missing_since)
        if news.settled:
            raise settled(news)
        if news.state is not FileState.THERE:
            return None
        # Errored or not, what can be had is had.
        return {
            "state": "uploaded",
            "partial": provider_recording is not None and provider_recording.status is ProviderStatus.ERRORED,
        }

    def _weighed(
        self, recording: Recording, provider_recording: ProviderRecording | None, *, delivered: bool
    ) -> FileAssessment:
        return assess_file(
            recording, provider_recording, now=self.clock(), delivered=delivered, deadlines=self.deadlines
        )

    def _ended(self, recording: Recording, provider_recording: ProviderRecording) -> Recording:
        ended = recording.ended(at=provider_recording.stopped_at or self.clock(), cause="capture_ended")
        try:
            self.recordings.save(recording, ended)
        except ConcurrentUpdate:
            # A stop or a webhook stored it first.
            return self.recordings.get_including_deleted(recording.tenant_id, recording.id)
        return ended

    def _is_delivered(self, recording: Recording) -> bool:
        return recording.delivery_key is not None and self.files.head(recording.delivery_key) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTransfer:
    """Measure the file and decide how it is copied; what Cloudflare put into our bucket need not be."""

    recordings: Recordings
    provider: RecordingProvider
    files: WorkingFiles
    reader: Reader
    read_media_facts: ReadMediaFacts
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, work: Work, *, ranges: bool = True) -> Plan:
        """Without `ranges` the source is read as one stream: it has refused what it had announced.

        Raises AttemptReplaced, and what `url_of` and measuring raise.
        """
        recording = wanted(self.recordings, work)
        if recording.attempt > 1:
            remove_attempt_files(self.files, recording, until=recording.attempt - 1)
        provider_recording = asked(self.provider, recording)
        plan = self._planned(recording, provider_recording, ranges=ranges)
        plan["announced"] = announced_by(provider_recording)
        self.recordings.note_progress(recording, copying(plan, recording.attempt, self.clock()))
        return plan

    def _planned(self, recording: Recording, provider_recording: ProviderRecording | None, *, ranges: bool) -> Plan:
        key = recording.delivery_key
        found = self.files.head(key) if key is not None else None
        if key is None or found is None:
            return self._fetched(recording, self._url(recording, provider_recording), ranges=ranges)
        if self._is_whole(key, found, provider_recording):
            return self._delivered(recording, key, found)
        try:
            url = self._url(recording, provider_recording)
        except (ProviderRecordingFailed, SourceExpired, SourceUnavailable):
            # What was delivered is all that there is, for now.
            return self._delivered(recording, key, found)
        return self._fetched(recording, url, ranges=ranges)

    def _url(self, recording: Recording, provider_recording: ProviderRecording | None) -> str:
        return url_of(self.recordings, recording, provider_recording, self.clock(), self.deadlines)

    def _is_whole(self, key: str, found: tuple[int, str], provider_recording: ProviderRecording | None) -> bool:
        """Whether a delivered file is media of the announced size. If not, the one at Cloudflare may be better."""
        size, etag = found
        announced = provider_recording.size_bytes if provider_recording is not None else None
        if announced is not None and announced > 0 and announced != size:
            return False
        facts = self.read_media_facts(lambda first, last: self.files.read(key, first, last, etag=etag), size)
        return facts.is_media and not facts.truncated

    def _fetched(self, recording: Recording, url: str, *, ranges: bool) -> Plan:
        return plan_for(
            self.reader.measure(url),
            self.files,
            place="",
            key=attempt_key(recording),
            family=recording_prefix(recording),
            attempt=recording.attempt,
            content_type=CONTENT_TYPE,
            ranges=ranges,
        )

    def _delivered(self, recording: Recording, key: str, found: tuple[int, str]) -> Plan:
        """A plan without copying. An attempt before this one may have begun to fetch the file."""
        drop_unfinished(self.files, recording_prefix(recording), until=recording.attempt)
        return plan_without_copying("", key, found, CONTENT_TYPE, None, read=True)


def announced_by(provider_recording: ProviderRecording | None) -> Announced:
    """What Cloudflare says of the file; None: it does not know the recording any more."""
    if provider_recording is None:
        return Announced(size=None, seconds=None, errored=False, expires_at=None)
    expires_at = provider_recording.expires_at
    return Announced(
        size=provider_recording.size_bytes,
        seconds=provider_recording.duration_seconds,
        errored=provider_recording.status is ProviderStatus.ERRORED,
        expires_at=expires_at.isoformat() if expires_at is not None else None,
    )


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
        """Nothing when the attempt is over, or the table is busy: a copy does not fail for want of a number."""
        try:
            wanted(self.recordings, work)
        except (AttemptReplaced, RecordingNotFound, Throttled):
            return
        self.recordings.add_progress(work["tenant_id"], work["recording_id"], attempt=work["attempt"], copied=copied)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingFence:
    """Asks whether a recording still waits for the file of an attempt (transfer_file.Fence)."""

    recordings: Recordings

    def __call__(self, work: Work) -> None:
        """Raises AttemptReplaced."""
        wanted(self.recordings, work)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudflareUrl:
    """Where the file of a recording can be read now (transfer_file.Locate)."""

    recordings: Recordings
    provider: RecordingProvider
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, work: Work, plan: Plan) -> str:
        """Raises AttemptReplaced, and what `url_of` raises."""
        recording = wanted(self.recordings, work)
        provider_recording = asked(self.provider, recording)
        return url_of(self.recordings, recording, provider_recording, self.clock(), self.deadlines)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFailed:
    """`on_stored` receives the recording that a call has stored: failed, or ready with a file that was held."""

    recordings: Recordings
    clock: Clock
    on_stored: Callable[[Recording], object] = lambda recording: None

    def __call__(self, work: Work, failure: Failure) -> Status:
        """Store that there will be no file, and why; unless Cloudflare's news has been better since.

        Then the run ends, and the next sync starts another one.
        """

        def failed(one: Recording) -> Recording:
            if failure in BY_NEWS and one.missing_since is None:
                return one
            return one.failed(failure, at=self.clock(), cause=failure.code)

        return save_result(self.recordings, work, failed, on_stored=self.on_stored).status


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkStalled:
    """Flag a recording whose attempt gave up, say when the next one is due, and clear away what it wrote.

    The recording stays `processing`: the sync makes the next attempt, a person can make one at any time. The last file
    of all goes into quarantine. `on_stored` receives the recording that a call has flagged.
    """

    recordings: Recordings
    files: AttemptFiles
    clock: Clock
    limits: AttemptLimits
    on_stored: Callable[[Recording], object] = lambda recording: None

    def __call__(self, work: Work, *, failed: bool = True) -> None:
        """Without `failed` nothing went wrong: the upload did not come, and its file may be fetched at once."""
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
        if _is_over(recording, work):
            return
        due = next_attempt_at(recording, now=self.clock(), limits=self.limits) if failed else None
        if recording.next_attempt_at is None:
            step = recording.progress or Progress(step="stalled", attempt=recording.attempt)
            self.recordings.note_progress(recording, replace(step, step="stalled", next_step_due=due), stalled=True)
            if not recording.stalled:
                self.on_stored(recording)
        if failed and due is None:
            quarantine(self.files, recording, attempt_key(recording), attempt=recording.attempt)
        remove_attempt_files(self.files, recording, until=recording.attempt)


def _is_over(recording: Recording, work: Work) -> bool:
    return recording.status not in {Status.RECORDING, Status.PROCESSING} or recording.attempt != work["attempt"]


def wanted(recordings: Recordings, work: Work) -> Recording:
    """The recording, if it still waits for the file of this attempt. Raises AttemptReplaced."""
    recording = recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
    if _is_over(recording, work):
        raise AttemptReplaced(f"attempt {work['attempt']} is over")
    return recording


def save_result(
    recordings: Recordings,
    work: Work,
    change: Callable[[Recording], Recording],
    *,
    on_stored: Callable[[Recording], object] = lambda recording: None,
) -> Recording:
    """Store a change, unless a newer attempt has taken over; give the recording as it is then."""
    return changed(
        recordings,
        lambda: recordings.get_including_deleted(work["tenant_id"], work["recording_id"]),
        lambda one: change(one) if one.attempt == work["attempt"] else one,
        on_stored=on_stored,
    )


def asked(provider: RecordingProvider, recording: Recording) -> ProviderRecording | None:
    """The capture as Cloudflare tells it now, or None when it knows no such capture."""
    if recording.cloudflare_recording_id is None:
        return None
    try:
        return provider.get(recording.cloudflare_recording_id)
    except ProviderNotFound:
        return None


def settled(news: FileAssessment) -> ProviderRecordingFailed | SourceExpired:
    """The error that ends a run because there will be no file."""
    if news.failure == TRACKS:
        return TracksOnly(TRACKS.message)
    if news.failure == EXPIRED:
        return SourceExpired("Cloudflare keeps a file for seven days, and they are over")
    return ProviderRecordingFailed("Cloudflare could not record or upload it, or no longer knows it")


def url_of(
    recordings: Recordings,
    recording: Recording,
    provider_recording: ProviderRecording | None,
    now: datetime,
    deadlines: Deadlines,
) -> str:
    """The URL of the file, as Cloudflare gives it now.

    Raises SourceUnavailable when there is none, and CaptureFailed, SourceExpired or TracksOnly when that is settled.
    """
    news = assess_file(recording, provider_recording, now=now, deadlines=deadlines)
    store_missing_since(recordings, recording, news.missing_since)
    if news.settled:
        raise settled(news)
    if news.state is not FileState.THERE or provider_recording is None or provider_recording.download_url is None:
        raise SourceUnavailable("Cloudflare gives no URL for the file")
    return provider_recording.download_url
