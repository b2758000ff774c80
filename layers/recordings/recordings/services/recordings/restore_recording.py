"""Request a readable copy of an archived recording, and follow its progress."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.archive import Archive, Tier
from recordings.domain.errors import RecordingNotArchived, RetrievalRefused, TierNotOffered
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ArchiveStore
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import changed

# For how many days a copy is requested where no number was stored.
DEFAULT_DAYS: Final = 7
# A larger number is a faster tier.
TIER_SPEED: Final[dict[Tier, int]] = {"bulk": 0, "standard": 1, "expedited": 2}
# How long a retrieval takes at most, by storage class. Deep Archive offers no expedited tier.
# Source: S3 User Guide, "Restore retrieval options".
RETRIEVAL_TIMES: Final[dict[str, dict[Tier, timedelta]]] = {
    "GLACIER": {
        "expedited": timedelta(minutes=5),
        "standard": timedelta(hours=5),
        "bulk": timedelta(hours=12),
    },
    "DEEP_ARCHIVE": {"standard": timedelta(hours=12), "bulk": timedelta(hours=48)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRecording:
    """Store the decision, then request the copy. If the function dies in between, a repeat or a sync requests it."""

    recordings: Recordings
    archive: ArchiveStore
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str, days: int, tier: Tier) -> Recording:
        """Return the recording, with the state of its copy.

        Raises:
            RecordingNotFound: the recording does not exist
            RecordingNotArchived: its file is not in the archive
            TierNotOffered: its storage class does not offer this tier
            RetrievalRefused: the expedited tier has no capacity; nothing changed
            ConcurrentUpdate: others changed the recording each time
        """
        earlier: list[Archive | None] = []

        def decide(recording: Recording) -> Recording:
            earlier.append(recording.archive)
            return self._decide(recording, days, tier)

        decided = changed(self.recordings, lambda: self.recordings.get(tenant_id, recording_id), decide)
        if decided.archive is None or decided.archive.pending_since is None:
            return decided
        try:
            return RequestRestore(recordings=self.recordings, archive=self.archive)(decided)
        except RetrievalRefused:
            self._take_back(decided, decided.archive, earlier[-1])
            raise

    def _take_back(self, recording: Recording, decided: Archive, earlier: Archive | None) -> None:
        """Undo the decision: no copy was requested. Does nothing if another call has decided since."""
        if earlier is not None and earlier.pending_since is None:
            changed(
                self.recordings,
                lambda: self.recordings.get_including_deleted(recording.tenant_id, recording.id),
                lambda current: current.restore_refused(decided, earlier),
            )

    def _decide(self, before: Recording, days: int, tier: Tier) -> Recording:
        """Return the recording to store; unchanged if such a copy is in progress, or about to be requested."""
        archive = before.archive
        if before.status is not Status.ARCHIVED or archive is None or before.file is None or before.moving:
            raise RecordingNotArchived(f"only a recording in cold storage can be restored; {_whereabouts(before)}")
        status = self.archive.restore_status(before.file.key)
        if status is None:
            raise RecordingNotArchived("its file is not in cold storage")
        now = self.clock()
        is_requested = archive.state == "restoring" and (status.in_progress or archive.pending_since is not None)
        if is_requested and TIER_SPEED[tier] <= TIER_SPEED[archive.tier or "bulk"]:
            return before
        times = RETRIEVAL_TIMES.get(status.storage_class)
        if times is None:
            return before.restored(until=now + timedelta(days=days))
        if tier not in times:
            raise TierNotOffered(f"{tier} is not offered for {status.storage_class}")
        if status.readable_until is not None and not status.in_progress:
            # A copy is readable. A request keeps it longer, and it stays readable meanwhile.
            return before.renewing(until=status.readable_until, tier=tier, days=days, at=now)
        if status.in_progress:
            # A request may ask for a faster tier, and may change nothing else (S3 API reference, RestoreObject).
            days = archive.days or days
        # A lifecycle rule may have changed the storage class since the file was stored.
        return before.restoring(
            tier=tier, days=days, expected_at=now + times[tier], at=now, storage_class=status.storage_class
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRestore:
    """Request the copy that a stored decision names, and store that it was requested."""

    recordings: Recordings
    archive: ArchiveStore

    def __call__(self, decided: Recording) -> Recording:
        """Return the recording as it is then. Safe to repeat. If an error is raised, the decision stays pending.

        A copy in progress is not requested twice. A readable copy is kept for the number of days from now.

        Raises:
            RetrievalRefused: the expedited tier has no capacity; no copy was requested
            ConcurrentUpdate: others changed the recording each time
        """
        archive, file = decided.archive, decided.file
        if archive is None or archive.pending_since is None or file is None:
            return decided
        was_readable = self._readable_until(file.key) is not None
        self.archive.request_restore(file.key, days=archive.days or DEFAULT_DAYS, tier=archive.tier or "standard")
        # A copy that was not readable becomes so later. An event of S3 reports it then (TrackRestore).
        until = self._readable_until(file.key) if was_readable else None
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(decided.tenant_id, decided.id),
            lambda recording: recording.restore_requested(archive, until=until),
        )

    def _readable_until(self, key: str) -> datetime | None:
        status = self.archive.restore_status(key)
        return status.readable_until if status is not None and not status.in_progress else None


def _whereabouts(recording: Recording) -> str:
    return "this one is on its way there" if recording.moving else f"this one is {recording.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRestore:
    """Store what S3 says about a copy, after its event that the copy is readable or deleted."""

    recordings: Recordings
    archive: ArchiveStore
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Return the recording as it is then.

        Raises:
            RecordingNotFound: the recording was purged
            ConcurrentUpdate: others changed the recording each time
        """
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(tenant_id, recording_id),
            lambda recording: self._apply(recording, self.clock()),
        )

    def _apply(self, recording: Recording, now: datetime) -> Recording:
        if recording.file is None or recording.file.store != "s3" or recording.archive is None:
            return recording
        status = self.archive.restore_status(recording.file.key)
        if status is None or status.in_progress:
            return recording
        if status.readable_until is not None and status.readable_until > now:
            return recording.restored(until=status.readable_until)
        return recording.restore_expired(at=now)
