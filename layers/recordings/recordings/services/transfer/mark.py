"""Store how an attempt ended, then delete what it leaves behind.

The decision is stored before anything is deleted. A repeat finds it and deletes the rest.
"""

from dataclasses import dataclass, replace
from typing import Final

from recordings.domain.admission import (
    FILE_INVALID,
    Action,
    AttemptLimits,
    Decision,
    FileEvidence,
    admit,
    next_attempt_at,
)
from recordings.domain.lifecycle import Status
from recordings.domain.media import recording_duration
from recordings.domain.reconciliation import EXPIRED, LOST, TRACKS
from recordings.domain.recording import Failure, Progress, Recording
from recordings.domain.storage_keys import attempt_key
from recordings.domain.stored_file import HeldFile, StoredFile
from recordings.domain.transfer import Announcement, Attempt, VerifiedFile
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock
from recordings.services.transfer.attempt_files import quarantine, remove_attempt_files, remove_quarantined
from recordings.services.transfer.attempts import OnStored, ignore_stored, is_waiting, save_result
from recordings.services.transfer.provider_file import announcement_of, get_provider_recording

# In other statuses the archive may hold the file: then the move to it deletes what is left.
STATUSES_TO_CLEAN_UP: Final = frozenset({Status.PROCESSING, Status.READY, Status.FAILED})
# Failures that rest on Cloudflare's answers. A later, better answer takes them back until they are stored.
REVOCABLE_FAILURES: Final = frozenset({LOST, EXPIRED, TRACKS})


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReady:
    """Decide by domain/admission.py whether a verified file becomes the recording's. A decision is final.

    `on_stored` receives the recording after its decision was stored, before anything is deleted.
    """

    recordings: Recordings
    provider: RecordingProvider
    store: ObjectStore
    clock: Clock
    limits: AttemptLimits
    on_stored: OnStored = ignore_stored

    def __call__(self, attempt: Attempt, file: VerifiedFile, *, key: str, errored: bool) -> Status:
        """Return the recording's status. `errored`: Cloudflare reported the recording as errored in CheckUpload.

        Raises:
            ConcurrentUpdate: others changed the recording each time
            ChecksumMismatch: the copy into quarantine failed
            ProviderFailure: Cloudflare does not say what it announced
        """
        recording = self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
        if _is_undecided(recording, attempt):
            announced = file.announced or announcement_of(get_provider_recording(self.provider, recording))
            decision = self._decide(recording, file, announced, errored=errored)
            recording = save_result(
                self.recordings,
                attempt,
                lambda current: (
                    self._apply(current, file, key, announced, decision) if _is_undecided(current, attempt) else current
                ),
                on_stored=self.on_stored,
            )
        if recording.attempt == attempt.attempt and recording.status in STATUSES_TO_CLEAN_UP:
            self._clean_up(recording, key)
        return recording.status

    def _decide(self, recording: Recording, file: VerifiedFile, announced: Announcement, *, errored: bool) -> Decision:
        evidence = FileEvidence(
            is_media=file.is_media,
            size_bytes=file.size,
            announced_bytes=announced.size,
            truncated=file.truncated,
            errored=errored or announced.errored,
            proof=file.proof,
            expires_at=announced.expires_at,
        )
        return admit(evidence, attempts=recording.automatic_attempts, now=self.clock(), limits=self.limits)

    def _apply(
        self, recording: Recording, file: VerifiedFile, key: str, announced: Announcement, decision: Decision
    ) -> Recording:
        now = self.clock()
        match decision.action:
            case Action.TRY_AGAIN:
                assert decision.next_attempt_at is not None
                held = _larger(recording.held, file, key) if file.is_media else recording.held
                return recording.retry_scheduled(at=decision.next_attempt_at, held=held)
            case Action.GIVE_UP:
                assert decision.failure is not None
                return recording.failed(decision.failure, at=now, cause=decision.failure.code)
            case _:
                partial = decision.action is Action.ACCEPT_PARTIAL
                seconds = recording_duration(announced.seconds, file.duration, partial=partial)
                return recording.stored(
                    _stored_file(file, key), duration_seconds=seconds, partial=partial, at=now, cause="file_verified"
                )

    def _clean_up(self, recording: Recording, key: str) -> None:
        """Delete what this and earlier attempts wrote, but for the recording's file, held media and quarantine."""
        attempt = recording.attempt
        if recording.failure == FILE_INVALID:
            quarantine(self.store, recording, key, attempt=attempt)
            if recording.delivery_key is not None and recording.delivery_key != key:
                # It is no media either, or else it would have been accepted.
                self.store.delete(recording.delivery_key)
        if recording.status is Status.READY and attempt > 1:
            remove_quarantined(self.store, recording)
        is_first = attempt == 1 and recording.file is not None and recording.file.key == attempt_key(recording)
        if not is_first:
            remove_attempt_files(self.store, recording, until=attempt)


def _is_undecided(recording: Recording, attempt: Attempt) -> bool:
    """Whether the file of this attempt is yet to be decided about. The files of a stalled attempt were deleted."""
    return recording.status is Status.PROCESSING and recording.attempt == attempt.attempt and not recording.stalled


def _stored_file(file: VerifiedFile, key: str) -> StoredFile:
    return StoredFile(
        store="r2",
        key=key,
        size_bytes=file.size,
        content_type=file.content_type,
        crc32=file.crc32,
        sha256=file.sha256,
        etag=file.etag,
    )


def _larger(held: HeldFile | None, file: VerifiedFile, key: str) -> HeldFile:
    """Return the larger of two files that may be incomplete."""
    if held is not None and held.file.size_bytes >= file.size:
        return held
    return HeldFile(_stored_file(file, key), file.duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFailed:
    """Store that there will be no file, and why.

    `on_stored` receives the recording that was stored: failed, or ready with a file that was held.
    """

    recordings: Recordings
    clock: Clock
    on_stored: OnStored = ignore_stored

    def __call__(self, attempt: Attempt, failure: Failure) -> Status:
        """Return the recording's status.

        Does nothing if Cloudflare's answer has been better since. Then the execution ends, and the next sync starts
        another one. Held media becomes the file instead of a failure.

        Raises:
            ConcurrentUpdate: others changed the recording each time
        """

        def fail(recording: Recording) -> Recording:
            if failure in REVOCABLE_FAILURES and recording.missing_since is None:
                return recording
            return recording.failed(failure, at=self.clock(), cause=failure.code)

        return save_result(self.recordings, attempt, fail, on_stored=self.on_stored).status


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkStalled:
    """Flag a recording whose attempt gave up, and delete what it wrote.

    The recording stays `processing`. The sync starts the next attempt when it is due; a person can start one at any
    time. After the last attempt the file goes to quarantine. `on_stored` receives a recording that was not flagged
    before.
    """

    recordings: Recordings
    store: ObjectStore
    clock: Clock
    limits: AttemptLimits
    on_stored: OnStored = ignore_stored

    def __call__(self, attempt: Attempt, *, failed: bool = True) -> None:
        """Without `failed` nothing went wrong: the upload did not come, and its file may be fetched at once."""
        recording = self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
        if not is_waiting(recording, attempt):
            return
        due = next_attempt_at(recording, now=self.clock(), limits=self.limits) if failed else None
        if recording.next_attempt_at is None:
            progress = recording.progress or Progress(step="stalled", attempt=recording.attempt)
            self.recordings.note_progress(recording, replace(progress, step="stalled", next_step_due=due), stalled=True)
            if not recording.stalled:
                self.on_stored(recording)
        if failed and due is None:
            quarantine(self.store, recording, attempt_key(recording), attempt=recording.attempt)
        remove_attempt_files(self.store, recording, until=recording.attempt)
