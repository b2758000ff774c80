"""Decide whether a verified file becomes the recording's, store the decision, and then carry it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from recordings.domain.admission import FILE_INVALID, Action, AttemptLimits, Decision, FileEvidence, Proof, admit
from recordings.domain.lifecycle import Status
from recordings.domain.media import recording_duration
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import attempt_key
from recordings.domain.stored_file import HeldFile, StoredFile
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.transfer.attempt_files import (
    AttemptFiles,
    quarantine,
    remove_attempt_files,
    remove_quarantined,
)
from recordings.services.transfer.process_recording import announced_by, asked, save_result
from recordings.services.transfer.transfer_file import Announced, Work

CLEARED: Final = frozenset({Status.PROCESSING, Status.READY, Status.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """What VerifyTransfer found. `announced` is None if the transfer was planned before that was noted."""

    file: StoredFile
    is_media: bool
    truncated: bool
    proof: Proof
    duration_seconds: int | None
    announced: Announced | None

    @classmethod
    def from_facts(cls, key: str, facts: Mapping[str, Any]) -> Self:
        """From VerifyTransfer's answer. One of an older release lacks some: its content type shows what is no media."""
        return cls(
            file=StoredFile(
                store="r2",
                key=key,
                size_bytes=facts["size"],
                content_type=facts["content_type"],
                crc32=facts["crc32"],
                sha256=facts["sha256"],
                etag=facts.get("etag"),
            ),
            is_media=facts.get("is_media", facts["content_type"] != "application/octet-stream"),
            truncated=facts.get("truncated", False),
            proof=Proof(facts.get("proof", Proof.NONE)),
            duration_seconds=facts["duration"],
            announced=facts.get("announced"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitFile:
    """Apply domain/admission.py to a verified file. Safe to repeat: what is decided stays decided.

    `on_stored` receives the recording when a call has stored its decision, before anything is cleared away.
    """

    recordings: Recordings
    provider: RecordingProvider
    files: AttemptFiles
    clock: Clock
    limits: AttemptLimits
    on_stored: Callable[[Recording], object] = lambda recording: None

    def __call__(self, work: Work, found: VerifiedFile, *, errored: bool) -> Status:
        """Give the recording's status. `errored`: Cloudflare called the recording errored when it was waited for.

        Raises ConcurrentUpdate, ChecksumMismatch (the copy into quarantine failed) or a ProviderFailure.
        """
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
        if _is_open(recording, work):
            announced = found.announced or self._ask(recording)
            decision = self._decided(recording, found, announced, errored=errored)
            recording = save_result(
                self.recordings,
                work,
                lambda one: self._after(one, found, announced, decision) if _is_open(one, work) else one,
                on_stored=self.on_stored,
            )
        # What moves to cold storage, or has moved, is the move's to clear away.
        if recording.attempt == work["attempt"] and recording.status in CLEARED:
            self._clear(recording, found.file.key)
        return recording.status

    def _ask(self, recording: Recording) -> Announced:
        return announced_by(asked(self.provider, recording))

    def _decided(self, recording: Recording, found: VerifiedFile, announced: Announced, *, errored: bool) -> Decision:
        expires_at = announced["expires_at"]
        evidence = FileEvidence(
            is_media=found.is_media,
            size_bytes=found.file.size_bytes,
            announced_bytes=announced["size"],
            truncated=found.truncated,
            errored=errored or announced["errored"],
            proof=found.proof,
            expires_at=datetime.fromisoformat(expires_at) if expires_at is not None else None,
        )
        return admit(evidence, attempts=recording.automatic_attempts, now=self.clock(), limits=self.limits)

    def _after(self, recording: Recording, found: VerifiedFile, announced: Announced, decision: Decision) -> Recording:
        now = self.clock()
        match decision.action:
            case Action.TRY_AGAIN:
                assert decision.next_attempt_at is not None
                held = _better(recording.held, found) if found.is_media else recording.held
                return recording.retry_scheduled(at=decision.next_attempt_at, held=held)
            case Action.GIVE_UP:
                assert decision.failure is not None
                return recording.failed(decision.failure, at=now, cause=decision.failure.code)
            case _:
                partial = decision.action is Action.ACCEPT_PARTIAL
                seconds = recording_duration(announced["seconds"], found.duration_seconds, partial=partial)
                return recording.stored(
                    found.file, duration_seconds=seconds, partial=partial, at=now, cause="file_verified"
                )

    def _clear(self, recording: Recording, key: str) -> None:
        """Leave nothing of this attempt and those before it but the file, held media, or what is in quarantine."""
        attempt = recording.attempt
        if recording.failure == FILE_INVALID:
            quarantine(self.files, recording, key, attempt=attempt)
            if recording.delivery_key is not None and recording.delivery_key != key:
                # It was no media either; else it would have been taken.
                self.files.delete(recording.delivery_key)
        if recording.status is Status.READY and attempt > 1:
            remove_quarantined(self.files, recording)
        first = attempt == 1 and recording.file is not None and recording.file.key == attempt_key(recording)
        if not first:
            remove_attempt_files(self.files, recording, until=attempt)


def _is_open(recording: Recording, work: Work) -> bool:
    """Whether the file of this attempt is yet to be decided about. What a stalled attempt wrote is gone by now."""
    return recording.status is Status.PROCESSING and recording.attempt == work["attempt"] and not recording.stalled


def _better(held: HeldFile | None, found: VerifiedFile) -> HeldFile:
    """The larger of two files that may be incomplete."""
    if held is not None and held.file.size_bytes >= found.file.size_bytes:
        return held
    return HeldFile(found.file, found.duration_seconds)
