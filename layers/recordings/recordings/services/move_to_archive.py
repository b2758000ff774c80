"""Move a recording's file from R2 to cold storage: what the tasks of the archiving workflow decide.

The file can be read at every moment: the recording points to R2 until the copy is verified, and R2 is emptied only
after the recording points to the copy.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from recordings.domain.errors import SourceUnavailable
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Archive, Failure, Recording, StoredFile
from recordings.domain.storage_keys import archive_key, archive_prefix
from recordings.ports import Clock, Recordings
from recordings.services.change_recording import changed
from recordings.services.process_recording import copying
from recordings.services.transfer_file import (
    Done,
    Files,
    Plan,
    Reader,
    Uploads,
    Work,
    check_stored,
    drop_unfinished,
    plan_for,
    plan_without_copying,
)

ABANDONED: Final = Failure("archive_failed", "The move to cold storage failed; the recording is still in R2.")


class Deletable(Protocol):
    """The store that a file leaves."""

    def delete(self, key: str) -> None: ...


class Discardable(Uploads, Deletable, Protocol):
    """The store that a file was to move to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginArchive:
    """Store that the move has begun, unless the API has; a run that is not the recording's present one is over."""

    recordings: Recordings
    clock: Clock

    def __call__(self, work: Work) -> bool:
        """Give whether there is anything to move."""
        stored = changed(
            self.recordings,
            lambda: self.recordings.find(work["tenant_id"], work["recording_id"]),
            lambda one: one.archiving(at=self.clock()) if _is_next(one, work) else one,
        )
        return stored.status is Status.ARCHIVED and stored.archive_attempt == work["attempt"]


def _is_next(recording: Recording, work: Work) -> bool:
    """Whether this move is yet to begin."""
    return recording.status is Status.READY and recording.archive_attempt == work["attempt"] - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArchive:
    recordings: Recordings
    reader: Reader
    files: Files
    clock: Clock

    def __call__(self, work: Work) -> Plan | None:
        """How the file moves; None when it has moved. Raises SourceUnavailable when R2 has no such file."""
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        if not recording.moving or recording.file is None:
            return None
        source = self.reader.measure(recording.file.key)
        key = archive_key(recording, work["attempt"])
        copied = self.files.head(key)
        if copied is not None and copied[0] == source.size:
            # A run before this one completed the copy, which it does with checked parts alone, and died then.
            return plan_without_copying(
                recording.file.key, key, copied, recording.file.content_type, recording.file.crc32, read=False
            )
        plan = plan_for(
            source,
            self.files,
            place=recording.file.key,
            key=key,
            family=archive_prefix(recording),
            content_type=recording.file.content_type,
            crc=recording.file.crc32,
        )
        self.recordings.note_progress(recording, copying(plan, work["attempt"], self.clock()))
        return plan


def key_in_r2(work: Work, plan: Plan) -> str:
    """Where the file is read from (transfer_file.Locate)."""
    return plan["source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishArchive:
    """Verify the copy, point the recording to it, then empty R2."""

    recordings: Recordings
    files: Files
    source: Deletable
    storage_class: str

    def __call__(self, work: Work, plan: Plan | None, done: Done | None) -> None:
        """Without a plan the file has moved before, and only R2 may be left to empty.

        Raises ChecksumMismatch, SourceUnavailable or ConcurrentUpdate; R2 is untouched then.
        """
        if plan is not None and done is not None:
            self._store(work, plan, done, check_stored(self.files, plan, done))
        recording = self.recordings.find(work["tenant_id"], work["recording_id"])
        if recording.file is not None and recording.file.provider == "s3" and recording.archive is not None:
            self._empty(recording.archive)

    def _empty(self, archive: Archive) -> None:
        if archive.moved_from is not None:
            self.source.delete(archive.moved_from)

    def _store(self, work: Work, plan: Plan, done: Done, etag: str) -> None:
        def pointed(recording: Recording) -> Recording:
            if recording.file is None:
                raise SourceUnavailable("the recording has no file")
            if recording.archive_attempt != work["attempt"]:
                return recording
            file = StoredFile(
                provider="s3",
                key=plan["key"],
                size_bytes=plan["size"],
                content_type=recording.file.content_type,
                crc32=done["crc32"],
                sha256=recording.file.sha256,
                etag=etag,
            )
            return recording.vaulted(file, storage_class=self.storage_class)

        changed(self.recordings, lambda: self.recordings.find(work["tenant_id"], work["recording_id"]), pointed)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonArchive:
    """Put the recording back to ready: nothing is lost, and nothing is left of the move."""

    recordings: Recordings
    clock: Clock
    copies: Discardable

    def __call__(self, work: Work) -> Status:
        """Raises ConcurrentUpdate."""

        def back(recording: Recording) -> Recording:
            if recording.archive_attempt != work["attempt"]:
                return recording
            return recording.not_archived(ABANDONED, at=self.clock())

        stored = changed(self.recordings, lambda: self.recordings.find(work["tenant_id"], work["recording_id"]), back)
        key = archive_key(stored, work["attempt"])
        if stored.file is None or stored.file.key != key:
            # Only now that the recording points elsewhere for good: a run that moved it may have died just after. What
            # a run before this one began is not in any plan of this one.
            drop_unfinished(self.copies, key)
            self.copies.delete(key)
        return stored.status
