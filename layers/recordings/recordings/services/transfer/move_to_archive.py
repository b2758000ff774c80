"""Move a recording's file from R2 to cold storage: what the tasks of the archiving workflow decide.

The file can be read at every moment: the recording points to R2 until the copy is verified, and R2 is emptied only
after the recording points to the copy and the last URL that was given out of R2 has ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from recordings.domain.errors import AttemptReplaced, RecordingNotFound, SourceUnavailable, Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording
from recordings.domain.storage_keys import archive_key, archive_prefix
from recordings.domain.stored_file import StoredFile
from recordings.ports.repositories import DownloadLinks, Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import changed
from recordings.services.transfer.process_recording import copying
from recordings.services.transfer.transfer_file import (
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
    """See that the move was decided: a run of its own accord, or of an attempt that is over, moves nothing."""

    recordings: Recordings

    def __call__(self, work: Work) -> bool:
        """Give whether there is anything to move."""
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
        return recording.status is Status.ARCHIVED and recording.archive_attempt == work["attempt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArchive:
    recordings: Recordings
    reader: Reader
    files: Files
    clock: Clock

    def __call__(self, work: Work) -> Plan | None:
        """How the file moves; None when this attempt has nothing (more) to move.

        Raises SourceUnavailable when R2 has no such file.
        """
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
        if not recording.moving or recording.archive_attempt != work["attempt"] or recording.file is None:
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
            attempt=work["attempt"],
            content_type=recording.file.content_type,
            crc=recording.file.crc32,
        )
        self.recordings.note_progress(recording, copying(plan, work["attempt"], self.clock()))
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFence:
    """Asks whether a move is still under way (transfer_file.Fence)."""

    recordings: Recordings

    def __call__(self, work: Work) -> None:
        """Raises AttemptReplaced."""
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
        if not recording.moving or recording.archive_attempt != work["attempt"]:
            raise AttemptReplaced(f"move {work['attempt']} is over")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteMoved:
    """Tell the recording how far its move is (transfer_file.Progressing)."""

    recordings: Recordings

    def __call__(self, work: Work, copied: int) -> None:
        """Nothing when the move is over, or the table is busy: a copy does not fail for want of a number."""
        try:
            ArchiveFence(recordings=self.recordings)(work)
        except (AttemptReplaced, RecordingNotFound, Throttled):
            return
        self.recordings.add_progress(work["tenant_id"], work["recording_id"], attempt=work["attempt"], copied=copied)


def key_in_r2(work: Work, plan: Plan) -> str:
    """Where the file is read from (transfer_file.Locate)."""
    return plan["source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishArchive:
    """Verify the copy, point the recording to it, then empty R2, unless a URL of the file there still has to work.

    `on_stored` receives the recording when a call has pointed it to the copy.
    """

    recordings: Recordings
    files: Files
    source: Deletable
    links: DownloadLinks
    clock: Clock
    storage_class: str
    on_stored: Callable[[Recording], object] = lambda recording: None

    def __call__(self, work: Work, plan: Plan | None, done: Done | None) -> None:
        """Without a plan the file has moved before, and only R2 may be left to empty.

        Raises ChecksumMismatch, SourceUnavailable, ConcurrentUpdate or AttemptReplaced; R2 is untouched then.
        """
        if plan is not None and done is not None:
            self._store(work, plan, done, check_stored(self.files, plan, done))
        recording = self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"])
        if recording.archive_attempt != work["attempt"]:
            raise AttemptReplaced(f"move {work['attempt']} is over")
        empty = EmptySource(recordings=self.recordings, source=self.source, links=self.links, clock=self.clock)
        empty(recording)

    def _store(self, work: Work, plan: Plan, done: Done, etag: str) -> None:
        def pointed(recording: Recording) -> Recording:
            if recording.file is None:
                raise SourceUnavailable("the recording has no file")
            if recording.archive_attempt != work["attempt"]:
                return recording
            file = StoredFile(
                store="s3",
                key=plan["key"],
                size_bytes=plan["size"],
                content_type=recording.file.content_type,
                crc32=done["crc32"],
                sha256=recording.file.sha256,
                etag=etag,
            )
            return recording.archive_completed(file, storage_class=self.storage_class, at=self.clock())

        changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"]),
            pointed,
            on_stored=self.on_stored,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptySource:
    """Empty R2 of a file that has moved, once no URL that was given out of it works any more."""

    recordings: Recordings
    source: Deletable
    links: DownloadLinks
    clock: Clock

    def __call__(self, moved: Recording) -> bool:
        """Give whether something changed. Safe to repeat. Raises ConcurrentUpdate."""
        archive = moved.archive
        if moved.file is None or moved.file.store != "s3" or archive is None or archive.moved_from is None:
            return False
        # No URL is given out of a file that the recording no longer points to: these are all there will ever be.
        until = self.links.find_latest_expiry(moved)
        if until is not None and until > self.clock():
            return self._stored(moved, lambda one: one.source_kept(until=until))
        self.source.delete(archive.moved_from)
        return self._stored(moved, lambda one: one.source_emptied())

    def _stored(self, moved: Recording, change: Callable[[Recording], Recording]) -> bool:
        after = changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(moved.tenant_id, moved.id),
            lambda one: change(one) if one.archive_attempt == moved.archive_attempt else one,
            known=moved,
        )
        return after.version != moved.version


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonArchive:
    """Put the recording back to ready: nothing is lost, and nothing is left of the move.

    `on_stored` receives the recording when a call has put it back.
    """

    recordings: Recordings
    clock: Clock
    copies: Discardable
    on_stored: Callable[[Recording], object] = lambda recording: None

    def __call__(self, work: Work) -> Status:
        """Raises ConcurrentUpdate."""

        def back(recording: Recording) -> Recording:
            if recording.archive_attempt != work["attempt"]:
                return recording
            return recording.archive_abandoned(ABANDONED, at=self.clock())

        stored = changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(work["tenant_id"], work["recording_id"]),
            back,
            on_stored=self.on_stored,
        )
        key = archive_key(stored, work["attempt"])
        if stored.file is None or stored.file.key != key:
            # Only now that the recording points elsewhere for good: a run that moved it may have died just after. What
            # a run before this one began is not in any plan of this one.
            drop_unfinished(self.copies, archive_prefix(stored), until=work["attempt"])
            self.copies.delete(key)
        return stored.status
