"""Move a recording's file from R2 to the archive: begin, finish and abandon.

The file can be read at every moment. The recording points to R2 until the copy is verified. R2 deletes its file only
after the recording points to the copy and the last download URL of the file in R2 has expired.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from recordings.domain.errors import AttemptReplaced, SourceUnavailable
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording
from recordings.domain.storage_keys import archive_key, archive_prefix
from recordings.domain.stored_file import StoredFile
from recordings.domain.transfer import Attempt, TransferPlan, TransferResult
from recordings.ports.repositories import DownloadLinks, Recordings
from recordings.ports.storage import ArchiveStore, ObjectStore
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import changed
from recordings.services.transfer.attempts import OnStored, ignore_stored
from recordings.services.transfer.plan import abort_uploads
from recordings.services.transfer.verify import verify_stored

ABANDONED: Final = Failure("archive_failed", "The move to cold storage failed; the recording is still in R2.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginArchive:
    """Check that the move was decided. Other executions move nothing."""

    recordings: Recordings

    def __call__(self, attempt: Attempt) -> bool:
        """Return whether this attempt is the recording's move, finished or not."""
        recording = self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
        return recording.status is Status.ARCHIVED and recording.archive_attempt == attempt.attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishArchive:
    """Verify the copy, point the recording to it, then delete the file in R2 unless a download URL needs it.

    `on_stored` receives the recording after it was pointed to the copy.
    """

    recordings: Recordings
    store: ObjectStore
    archive: ArchiveStore
    links: DownloadLinks
    clock: Clock
    on_stored: OnStored = ignore_stored

    def __call__(self, attempt: Attempt, plan: TransferPlan | None, result: TransferResult | None) -> None:
        """Finish the move. Without a plan the file has moved before, and only R2 may hold it still.

        Raises:
            ChecksumMismatch: the copy is not the file; R2 is untouched
            AttemptReplaced: another attempt has replaced this one; R2 is untouched
            SourceUnavailable: the recording has no file
            ConcurrentUpdate: others changed the recording each time
        """
        if plan is not None and result is not None:
            self._point_to_copy(attempt, plan, result, verify_stored(self.archive, plan, result))
        recording = self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
        if recording.archive_attempt != attempt.attempt:
            raise AttemptReplaced(f"move {attempt.attempt} is over")
        delete_source = DeleteMovedFile(
            recordings=self.recordings, store=self.store, links=self.links, clock=self.clock
        )
        delete_source(recording)

    def _point_to_copy(self, attempt: Attempt, plan: TransferPlan, result: TransferResult, etag: str) -> None:
        def point(recording: Recording) -> Recording:
            if recording.file is None:
                raise SourceUnavailable("the recording has no file")
            if recording.archive_attempt != attempt.attempt:
                return recording
            file = StoredFile(
                store="s3",
                key=plan.key,
                size_bytes=plan.size,
                content_type=recording.file.content_type,
                crc32=result.crc32,
                sha256=recording.file.sha256,
                etag=etag,
            )
            return recording.archive_completed(file, storage_class=self.archive.storage_class, at=self.clock())

        changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id),
            point,
            on_stored=self.on_stored,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMovedFile:
    """Delete the file in R2 that was moved to the archive, once no download URL of it works any more."""

    recordings: Recordings
    store: ObjectStore
    links: DownloadLinks
    clock: Clock

    def __call__(self, moved: Recording) -> bool:
        """Return whether the recording changed. Safe to repeat.

        Raises:
            ConcurrentUpdate: others changed the recording each time
        """
        archive = moved.archive
        if moved.file is None or moved.file.store != "s3" or archive is None or archive.moved_from is None:
            return False
        # The list of URLs is complete: no new URL is made of a file that the recording no longer points to.
        until = self.links.find_latest_expiry(moved)
        if until is not None and until > self.clock():
            return self._save(moved, lambda recording: recording.source_kept(until=until))
        self.store.delete(archive.moved_from)
        return self._save(moved, lambda recording: recording.source_emptied())

    def _save(self, moved: Recording, change: Callable[[Recording], Recording]) -> bool:
        after = changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(moved.tenant_id, moved.id),
            lambda recording: change(recording) if recording.archive_attempt == moved.archive_attempt else recording,
            known=moved,
        )
        return after.version != moved.version


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonArchive:
    """Return the recording to `ready`, with its file in R2, and delete what the move wrote.

    `on_stored` receives the recording after it was returned to `ready`.
    """

    recordings: Recordings
    archive: ArchiveStore
    clock: Clock
    on_stored: OnStored = ignore_stored

    def __call__(self, attempt: Attempt) -> Status:
        """Return the recording's status.

        Raises:
            ConcurrentUpdate: others changed the recording each time
        """

        def abandon(recording: Recording) -> Recording:
            if recording.archive_attempt != attempt.attempt:
                return recording
            return recording.archive_abandoned(ABANDONED, at=self.clock())

        recording = changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id),
            abandon,
            on_stored=self.on_stored,
        )
        key = archive_key(recording, attempt.attempt)
        if recording.file is None or recording.file.key != key:
            # Only now: an execution that pointed the recording to the copy may have ended just after that. The plan
            # names one upload at most. An earlier execution of this attempt may have begun another one.
            abort_uploads(self.archive, archive_prefix(recording), until=attempt.attempt)
            self.archive.delete(key)
        return recording.status
