"""A recording in our table. Its status changes only as `domain/lifecycle.py` allows."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Self

from recordings.domain import lifecycle
from recordings.domain.actor import Actor
from recordings.domain.archive import Archive, Tier
from recordings.domain.errors import (
    RecordingInProgress,
    RecordingNotArchivable,
    RecordingNotArchived,
    RecordingNotRecoverable,
)
from recordings.domain.history import Change
from recordings.domain.lifecycle import Command, Observation, Status
from recordings.domain.stored_file import HeldFile, StoredFile

type Origin = Literal["api", "auto"]

# So long after the start of an execution its absence is no sign of a crash.
GRACE_PERIOD: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there will be no file: a stable code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the processing or the archive move is. Sizes are bytes."""

    step: str
    attempt: int
    bytes_done: int | None = None
    bytes_total: int | None = None
    next_step_due: datetime | None = None
    stuck_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as it is stored. Times are aware UTC datetimes in whole seconds, durations whole seconds.

    Each method that changes something returns a new value with the next version. It returns self if nothing changes.
    `changed_by` made this version. It is None in versions of earlier releases, and until the version is stored.
    """

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
    # When a stop was decided. While the status is `recording`, Cloudflare may not have received it yet.
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
    # The number of attempts that no person asked for, including the first one.
    automatic_attempts: int = 1
    recovered_at: datetime | None = None
    # The best media file so far that was not accepted yet.
    held: HeldFile | None = None
    # Where Cloudflare was asked to deliver the file in our bucket.
    delivery_key: str | None = None
    progress: Progress | None = None
    # Since when each response of Cloudflare says that there will be no file. None if the last one did not. One such
    # response is no proof (domain/reconciliation.py). Every change of the recording resets it.
    missing_since: datetime | None = None
    history: tuple[Change, ...] = ()
    version: int = 1
    changed_by: Actor | None = None

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
        """Return a recording that Cloudflare began at this time."""
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
        """When the next attempt follows a failed one. None if no attempt has failed, or none follows."""
        return self.progress.next_step_due if self.stalled and self.progress is not None else None

    @property
    def unfinished(self) -> bool:
        """Whether work remains: it records, its file is not stored yet, or its archive is unfinished."""
        return self.status in {Status.RECORDING, Status.PROCESSING} or self.archive_unfinished

    @property
    def superseded_delivery(self) -> str | None:
        """The key where Cloudflare may deliver a file that is not needed. None if there is no such key.

        The recording then has a complete file with another key. A partial file may be replaced by a late delivery.
        """
        if self.status not in {Status.READY, Status.ARCHIVED} or self.partial or self.unfinished or self.file is None:
            return None
        return self.delivery_key if self.delivery_key != self.file.key else None

    @property
    def archive_unfinished(self) -> bool:
        return self.archive is not None and self.archive.unfinished

    @property
    def moving(self) -> bool:
        """Whether the archive move is in progress. Until it ends, the file is served from R2."""
        return self.archive is not None and self.archive.state == "moving"

    def attributed_to(self, actor: Actor, *, after: Self | None) -> Self:
        """Return this version with the actor who made it after that one. `after` is None for a new recording."""
        known = self.history[: len(after.history)] if after is not None else ()
        added = (replace(change, actor=actor.lasting) for change in self.history[len(known) :])
        return replace(self, changed_by=actor, history=(*known, *added))

    def archive_overdue(self, now: datetime) -> bool:
        """Return whether the unfinished archive should be finished by now, because its execution may have died."""
        if self.moving:
            return not self.recently_started(now)
        return self.archive is not None and self.archive.is_overdue(now, grace_period=GRACE_PERIOD)

    def recently_started(self, now: datetime) -> bool:
        """Return whether the execution of the processing or of the move has just been started."""
        if self.moving:
            return now - (self.archived_at or now) <= GRACE_PERIOD
        return now - max(self.stopped_at or self.started_at, self.recovered_at or self.started_at) <= GRACE_PERIOD

    def stop_requested(self, *, at: datetime) -> Self:
        """Decide to stop it.

        Raises:
            TransitionNotAllowed: the status is not `recording`
        """
        lifecycle.allowed(self.status, Command.STOP)
        return self if self.stop_requested_at else self._changed(stop_requested_at=at)

    def stopped(self, *, at: datetime, cause: str) -> Self:
        """Store that it was stopped.

        Raises:
            TransitionNotAllowed: the status is not `recording`
        """
        return self._entered(lifecycle.allowed(self.status, Command.STOP), at, cause, stopped_at=at)

    def ended(self, *, at: datetime, cause: str) -> Self:
        """Store that Cloudflare stopped recording."""
        return self._observed(Observation.CAPTURE_ENDED, at, cause, stopped_at=self.stopped_at or at)

    def failed(self, failure: Failure, *, at: datetime, cause: str) -> Self:
        """Store that there will be no file. If media is held, it becomes the file, as partial."""
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
        """Store that the file is in our bucket and verified."""
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

    def retry_scheduled(self, *, at: datetime, held: HeldFile | None) -> Self:
        """Store that the file of this attempt was not accepted. `at` is the time of the next attempt.

        `held` is the best media file so far. Returns self if the status is not `processing`.
        """
        if self.status is not Status.PROCESSING:
            return self
        progress = Progress(step="waiting_for_next_attempt", attempt=self.attempt, next_step_due=at)
        return self._changed(progress=progress, stalled=True, held=held)

    def recovered(self, *, at: datetime, automatic: bool = False) -> Self:
        """Begin a new attempt. `automatic`: no person asked for it.

        Raises:
            RecordingNotRecoverable: the status is not `processing`, or Cloudflare has no recording
        """
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

    def archiving(self, *, at: datetime) -> Self:
        """Begin the move to cold storage.

        Raises:
            RecordingNotArchivable: the status is not `ready`, or the file is not in R2
        """
        if self.status is not Status.READY or self.file is None or self.file.store != "r2":
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

    def archive_completed(self, file: StoredFile, *, storage_class: str, at: datetime) -> Self:
        """Store that the copy in cold storage is verified and is now the file. R2 still holds the source."""
        if self.archive is None or not self.moving:
            return self
        stored = replace(self.archive, state="stored", storage_class=storage_class, source_kept_until=at)
        return self._changed(file=file, archive=stored, progress=None)

    def archive_abandoned(self, error: Failure, *, at: datetime) -> Self:
        """Store that the move failed permanently. The recording is ready again, nothing is lost."""
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

    def source_kept(self, *, until: datetime) -> Self:
        """Store that R2 keeps the moved file until then."""
        return self if self.archive is None else self._with_archive(self.archive.source_kept(until=until))

    def source_emptied(self) -> Self:
        """Store that R2 no longer holds the moved file."""
        return self if self.archive is None else self._with_archive(replace(self.archive, source_kept_until=None))

    def restoring(
        self, *, tier: Tier, days: int, expected_at: datetime, at: datetime, storage_class: str | None = None
    ) -> Self:
        """Decide to request a readable copy. `storage_class` is where the file is now.

        Raises:
            RecordingNotArchived: the status is not `archived`, or the move is in progress
        """
        archive = self._restorable_archive()
        return self._changed(
            archive=replace(
                archive,
                state="restoring",
                storage_class=storage_class or archive.storage_class,
                restored_until=None,
                expected_at=expected_at,
                tier=tier,
                days=days,
                pending_since=at,
            )
        )

    def renewing(self, *, until: datetime, tier: Tier, days: int, at: datetime) -> Self:
        """Decide to keep a copy longer that is readable `until` then.

        Raises:
            RecordingNotArchived: the status is not `archived`, or the move is in progress
        """
        renewed = replace(
            self._restorable_archive(),
            state="restored",
            restored_until=until,
            expected_at=None,
            tier=tier,
            days=days,
            pending_since=at,
        )
        return self._changed(archive=renewed)

    def restore_requested(self, decided: Archive, *, until: datetime | None) -> Self:
        """Store that S3 received the restore that was `decided`. Returns self after a later decision.

        `until` is when a copy expires that is readable already. None if S3 still has to make the copy.
        """
        return (
            self if self.archive is None else self._with_archive(self.archive.restore_requested(decided, until=until))
        )

    def restore_refused(self, decided: Archive, before: Archive) -> Self:
        """Return to the archive `before` the restore that S3 refused. Returns self after a later decision."""
        return self._changed(archive=before) if self.archive == decided else self

    def restored(self, *, until: datetime) -> Self:
        """Store that a copy is readable until then. Returns self if nothing is archived, or that is known."""
        if self.archive is None or self.moving or self.archive.restored_until == until:
            return self
        return self._changed(archive=self.archive.restored(until=until))

    def restore_expired(self, *, at: datetime) -> Self:
        """Store that the readable copy is gone. Returns self if a newer copy is readable or requested."""
        return self if self.archive is None else self._with_archive(self.archive.restore_expired(at=at))

    def deleted(self, *, at: datetime) -> Self:
        """Remove it from every list, count and lookup. Its files stay.

        Raises:
            RecordingInProgress: the status is `recording`
        """
        if self.status is Status.RECORDING:
            raise RecordingInProgress("the recording is in progress; stop it before deleting it")
        return self if self.deleted_at else self._changed(deleted_at=at)

    def undeleted(self) -> Self:
        """Bring a deleted recording back."""
        return self._changed(deleted_at=None) if self.deleted_at else self

    def _restorable_archive(self) -> Archive:
        if self.status is not Status.ARCHIVED or self.archive is None or self.moving:
            raise RecordingNotArchived(f"only an archived recording can be restored; this one is {self.status}")
        return self.archive

    def _with_archive(self, archive: Archive) -> Self:
        return self if archive == self.archive else self._changed(archive=archive)

    def _changed(self, **changes: object) -> Self:
        return replace(self, version=self.version + 1, missing_since=None, **changes)  # type: ignore[arg-type]  # each caller names the fields

    def _observed(self, observation: Observation, at: datetime, cause: str, **changes: object) -> Self:
        status = lifecycle.observed(self.status, observation)
        return self if status is self.status else self._entered(status, at, cause, **changes)

    def _entered(self, status: Status, at: datetime, cause: str, **changes: object) -> Self:
        return self._changed(status=status, history=(*self.history, Change(status, at, cause)), **changes)
