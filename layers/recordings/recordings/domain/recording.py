"""The recording itself: a value that changes status only by the lifecycle."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Self

from recordings.domain import lifecycle
from recordings.domain.errors import (
    RecordingInProgress,
    RecordingNotArchivable,
    RecordingNotArchived,
    RecordingNotRecoverable,
)
from recordings.domain.lifecycle import Command, Observation, Status

type Origin = Literal["api", "auto"]
type Store = Literal["r2", "s3"]
type ArchiveState = Literal["moving", "stored", "restoring", "restored"]
type Tier = Literal["standard", "bulk", "expedited"]

FRESH: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there will be no file: a stable code and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history: the status entered, when, and what caused it."""

    status: Status
    at: datetime
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the work on a recording stands. Sizes in bytes."""

    step: str
    attempt: int
    bytes_done: int | None = None
    bytes_total: int | None = None
    next_step_due: datetime | None = None
    stuck_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A verified file in storage we own, with checksums over all its bytes in lower-case hex.

    `crc32` is known of every file that we copied, `sha256` of one that is small enough to be read at once. `etag` is
    what the store called the file when it was verified: another one later means other bytes.
    """

    provider: Store
    key: str
    size_bytes: int
    content_type: str
    crc32: str | None = None
    sha256: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A verified file that is media and may be incomplete, with its own duration in whole seconds."""

    file: StoredFile
    duration_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where an archived recording is. `expected_at`: when a copy that was asked for should be readable."""

    state: ArchiveState
    storage_class: str | None = None
    restored_until: datetime | None = None
    expected_at: datetime | None = None
    tier: Tier | None = None
    days: int | None = None
    # The key in R2 that is emptied once the copy is the file.
    moved_from: str | None = None
    # When a copy was decided that cold storage may not have been asked for yet; None when it has been.
    pending_since: datetime | None = None
    # R2 still holds the file at `moved_from`, until then at least: somebody was given a URL of it. None when emptied.
    source_kept_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Times are aware UTC datetimes in whole seconds; durations are seconds, sizes bytes."""

    id: str
    tenant_id: str
    room_id: str
    room_name: str
    meeting_id: str
    status: Status
    origin: Origin
    created_at: datetime
    started_at: datetime
    cloudflare_recording_id: str | None = None
    # When a stop was decided; Cloudflare may not have been told yet while it is still `recording`.
    stop_requested_at: datetime | None = None
    stopped_at: datetime | None = None
    duration_seconds: int | None = None
    archived_at: datetime | None = None
    file: StoredFile | None = None
    archive: Archive | None = None
    archive_error: Failure | None = None
    archive_attempt: int = 0
    deleted_at: datetime | None = None
    failure: Failure | None = None
    partial: bool = False
    stalled: bool = False
    attempt: int = 1
    # How many attempts began without a person asking for them, the first one included.
    automatic_attempts: int = 1
    recovered_at: datetime | None = None
    # Media that was not accepted yet: the file, if nothing better comes.
    held: HeldFile | None = None
    # Where Cloudflare was asked to put the file in our own bucket.
    delivery_key: str | None = None
    progress: Progress | None = None
    # Since when Cloudflare's answers have been saying that there will be no file; None: the last one did not. One such
    # answer settles nothing (domain/reconciliation.py). Whatever changes the recording itself begins it anew.
    missing_since: datetime | None = None
    history: tuple[Change, ...] = ()
    version: int = 1

    @classmethod
    def begin(
        cls,
        *,
        id: str,
        tenant_id: str,
        room_id: str,
        room_name: str,
        meeting_id: str,
        cloudflare_recording_id: str,
        origin: Origin,
        at: datetime,
        cause: str,
        delivery_key: str | None = None,
    ) -> Self:
        """A recording that Cloudflare has just begun; `at` is when it began."""
        return cls(
            id=id,
            tenant_id=tenant_id,
            room_id=room_id,
            room_name=room_name,
            meeting_id=meeting_id,
            cloudflare_recording_id=cloudflare_recording_id,
            origin=origin,
            status=Status.RECORDING,
            created_at=at,
            started_at=at,
            delivery_key=delivery_key,
            history=(Change(Status.RECORDING, at, cause),),
        )

    @property
    def size_bytes(self) -> int | None:
        return self.file.size_bytes if self.file else None

    @property
    def next_attempt_at(self) -> datetime | None:
        """When the attempt that failed is followed by another one; None when none has failed, or nothing is planned."""
        return self.progress.next_step_due if self.stalled and self.progress is not None else None

    def stop_requested(self, *, at: datetime) -> Self:
        """Decide to stop it; self unchanged when that is decided. Raises TransitionNotAllowed unless it records."""
        lifecycle.allowed(self.status, Command.STOP)
        return self if self.stop_requested_at else self._changed(stop_requested_at=at)

    def stopped(self, *, at: datetime, cause: str) -> Self:
        """Obey a stop, or raise TransitionNotAllowed."""
        return self._entered(lifecycle.allowed(self.status, Command.STOP), at, cause, stopped_at=at)

    def ended(self, *, at: datetime, cause: str) -> Self:
        """Cloudflare stopped recording; self unchanged when that is old news."""
        return self._observed(Observation.CAPTURE_ENDED, at, cause, stopped_at=self.stopped_at or at)

    def failed(self, failure: Failure, *, at: datetime, cause: str) -> Self:
        """There will be no file; self unchanged when one is already stored. Held media becomes the file, as partial."""
        if self.held is not None:
            return self.stored(
                self.held.file,
                duration_seconds=self.held.duration_seconds,
                partial=True,
                at=at,
                cause="file_incomplete",
            )
        return self._observed(
            Observation.CAPTURE_FAILED,
            at,
            cause,
            failure=failure,
            stopped_at=self.stopped_at or at,
            progress=None,
            stalled=False,
        )

    def stored(
        self, file: StoredFile, *, duration_seconds: int | None, partial: bool, at: datetime, cause: str
    ) -> Self:
        """The file is in our storage and verified; self unchanged when that is old news."""
        return self._observed(
            Observation.FILE_STORED,
            at,
            cause,
            file=file,
            duration_seconds=duration_seconds,
            partial=partial,
            progress=None,
            stalled=False,
            held=None,
        )

    def to_be_tried_again(self, *, at: datetime, held: HeldFile | None) -> Self:
        """The file of this attempt was not accepted: another one follows at that time. `held`: the best media so far.

        Self unchanged when nothing is to be fetched any more.
        """
        if self.status is not Status.PROCESSING:
            return self
        progress = Progress(step="waiting_for_next_attempt", attempt=self.attempt, next_step_due=at)
        return self._changed(progress=progress, stalled=True, held=held)

    def archiving(self, *, at: datetime) -> Self:
        """Begin the move to cold storage, or raise RecordingNotArchivable."""
        if self.status is not Status.READY or self.file is None or self.file.provider != "r2":
            raise RecordingNotArchivable(f"only a ready recording in R2 can be archived; this one is {self.status}")
        return self._entered(
            lifecycle.allowed(self.status, Command.ARCHIVE),
            at,
            "api_archive",
            archived_at=at,
            archive=Archive(state="moving", moved_from=self.file.key),
            archive_error=None,
            archive_attempt=self.archive_attempt + 1,
        )

    @property
    def open(self) -> bool:
        """Whether something is still to happen to it: it records, its file is fetched, or its archive is unfinished."""
        return self.status in {Status.RECORDING, Status.PROCESSING} or self.archive_unfinished

    @property
    def superseded_delivery(self) -> str | None:
        """Where Cloudflare may have delivered a file that is no longer needed; None when there is no such place.

        The recording has a whole file of another key. A partial one may be less than what is delivered late.
        """
        if self.status not in {Status.READY, Status.ARCHIVED} or self.partial or self.open or self.file is None:
            return None
        return self.delivery_key if self.delivery_key != self.file.key else None

    @property
    def archive_unfinished(self) -> bool:
        """Whether a stored decision about its archive is still to be carried out to its end."""
        archive = self.archive
        return archive is not None and (
            self.moving or archive.pending_since is not None or archive.source_kept_until is not None
        )

    def archive_overdue(self, now: datetime) -> bool:
        """Whether what is unfinished about its archive should be done by now: whoever was at it may have died."""
        archive = self.archive
        if archive is None:
            return False
        if self.moving:
            return not self.fresh(now)
        asked, kept = archive.pending_since, archive.source_kept_until
        return (asked is not None and now - asked > FRESH) or (kept is not None and kept <= now)

    def fresh(self, now: datetime) -> bool:
        """Whether its run, or its move, has just been started: then it is not asked after yet."""
        if self.moving:
            return now - (self.archived_at or now) <= FRESH
        return now - max(self.stopped_at or self.started_at, self.recovered_at or self.started_at) <= FRESH

    @property
    def moving(self) -> bool:
        """Whether the move to cold storage still runs: until it is over the file is served from R2."""
        return self.archive is not None and self.archive.state == "moving"

    def vaulted(self, file: StoredFile, *, storage_class: str, at: datetime) -> Self:
        """The copy in cold storage is verified and now the file; self unchanged when no move runs.

        R2 is still to be emptied: `source_kept` and `source_emptied` say what becomes of that.
        """
        if self.archive is None or not self.moving:
            return self
        stored = replace(self.archive, state="stored", storage_class=storage_class, source_kept_until=at)
        return self._changed(file=file, archive=stored, progress=None)

    def source_kept(self, *, until: datetime) -> Self:
        """R2 keeps the file that moved until then; self unchanged when it keeps it that long, or is empty."""
        archive = self.archive
        if archive is None or archive.source_kept_until is None or archive.source_kept_until >= until:
            return self
        return self._changed(archive=replace(archive, source_kept_until=until))

    def source_emptied(self) -> Self:
        """R2 no longer holds the file that moved; self unchanged when that is known."""
        archive = self.archive
        if archive is None or archive.source_kept_until is None:
            return self
        return self._changed(archive=replace(archive, source_kept_until=None))

    def not_archived(self, error: Failure, *, at: datetime) -> Self:
        """The move failed for good and lost nothing; self unchanged when no move runs."""
        if not self.moving:
            return self
        return self._observed(
            Observation.ARCHIVE_ABANDONED,
            at,
            "archive_failed",
            archived_at=None,
            archive=None,
            archive_error=error,
            progress=None,
        )

    def restoring(
        self, *, tier: Tier, days: int, expected_at: datetime, at: datetime, storage_class: str | None = None
    ) -> Self:
        """Decide to ask for a readable copy, or raise RecordingNotArchived. `storage_class`: where it lies by now."""
        if self.status is not Status.ARCHIVED or self.archive is None or self.moving:
            raise RecordingNotArchived(f"only an archived recording can be restored; this one is {self.status}")
        asked = replace(
            self.archive,
            state="restoring",
            storage_class=storage_class or self.archive.storage_class,
            restored_until=None,
            expected_at=expected_at,
            tier=tier,
            days=days,
            pending_since=at,
        )
        return self._changed(archive=asked)

    def renewing(self, *, until: datetime, tier: Tier, days: int, at: datetime) -> Self:
        """Decide to keep a copy longer that is readable `until`, or raise RecordingNotArchived."""
        if self.status is not Status.ARCHIVED or self.archive is None or self.moving:
            raise RecordingNotArchived(f"only an archived recording can be restored; this one is {self.status}")
        asked = replace(
            self.archive,
            state="restored",
            restored_until=until,
            expected_at=None,
            tier=tier,
            days=days,
            pending_since=at,
        )
        return self._changed(archive=asked)

    def restore_requested(self, decided: Archive, *, until: datetime | None) -> Self:
        """Cold storage has been asked for the copy that was `decided`, readable `until` if it is there already.

        Self unchanged when another decision came meanwhile.
        """
        archive = self.archive
        if archive is None or archive.pending_since is None or archive.pending_since != decided.pending_since:
            return self
        if until is not None:
            known = replace(archive, state="restored", restored_until=until, expected_at=None, pending_since=None)
        else:
            known = replace(archive, state="restoring", restored_until=None, pending_since=None)
        return self._changed(archive=known)

    def restore_refused(self, decided: Archive, before: Archive) -> Self:
        """Cold storage took no order for the copy that was `decided`: back to `before`.

        Self unchanged when another decision came meanwhile.
        """
        return self._changed(archive=before) if self.archive == decided else self

    def restored(self, *, until: datetime) -> Self:
        """A readable copy is there until then; self unchanged when nothing is archived or that is known."""
        if self.archive is None or self.moving or self.archive.restored_until == until:
            return self
        known = replace(self.archive, state="restored", restored_until=until, expected_at=None)
        return self._changed(archive=known)

    def restore_expired(self, *, at: datetime) -> Self:
        """The readable copy is gone; self unchanged when a newer one is there or on its way."""
        archive = self.archive
        if archive is None or archive.state != "restored" or (archive.restored_until or at) > at:
            return self
        if archive.pending_since is not None:
            return self
        gone = replace(archive, state="stored", restored_until=None, tier=None, days=None)
        return self._changed(archive=gone)

    def deleted(self, *, at: datetime) -> Self:
        """Out of every list, count and lookup, with nothing lost; raises RecordingInProgress while it records."""
        if self.status is Status.RECORDING:
            raise RecordingInProgress("the recording is in progress; stop it before deleting it")
        return self if self.deleted_at else self._changed(deleted_at=at)

    def undeleted(self) -> Self:
        """Back where it was; self unchanged when it is not deleted."""
        return self._changed(deleted_at=None) if self.deleted_at else self

    def recovered(self, *, at: datetime, automatic: bool = False) -> Self:
        """A new attempt at the file, or raise RecordingNotRecoverable. `automatic`: no person asked for it."""
        if self.status is not Status.PROCESSING:
            raise RecordingNotRecoverable(f"only a recording in processing can be recovered; this one is {self.status}")
        if self.cloudflare_recording_id is None:
            raise RecordingNotRecoverable("it has no Cloudflare recording to recover from")
        return self._changed(
            attempt=self.attempt + 1,
            automatic_attempts=self.automatic_attempts + automatic,
            recovered_at=at,
            progress=None,
            stalled=False,
        )

    def _changed(self, **changes: object) -> Self:
        return replace(self, version=self.version + 1, missing_since=None, **changes)  # type: ignore[arg-type]  # as in _entered

    def _observed(self, observation: Observation, at: datetime, cause: str, **changes: object) -> Self:
        status = lifecycle.observed(self.status, observation)
        return self if status is self.status else self._entered(status, at, cause, **changes)

    def _entered(self, status: Status, at: datetime, cause: str, **changes: object) -> Self:
        return replace(
            self,
            status=status,
            history=(*self.history, Change(status, at, cause)),
            version=self.version + 1,
            missing_since=None,
            **changes,  # type: ignore[arg-type]  # checked where each is named, above
        )
