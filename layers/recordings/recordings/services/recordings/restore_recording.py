"""Ask cold storage for a readable copy, and follow what becomes of it."""

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

# For how long a copy is asked for when nobody says it.
DAYS: Final = 7
SPEED: Final[dict[Tier, int]] = {"bulk": 0, "standard": 1, "expedited": 2}
# How long a copy takes at most (S3 User Guide, "Restore retrieval options"); Expedited is not for Deep Archive.
WAITS: Final[dict[str, dict[Tier, timedelta]]] = {
    "GLACIER": {
        "expedited": timedelta(minutes=5),
        "standard": timedelta(hours=5),
        "bulk": timedelta(hours=12),
    },
    "DEEP_ARCHIVE": {"standard": timedelta(hours=12), "bulk": timedelta(hours=48)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRecording:
    """The decision is stored before cold storage is asked. If we die between the two, the same call or a sync asks."""

    recordings: Recordings
    vault: ArchiveStore
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str, days: int, tier: Tier) -> Recording:
        """Raises RecordingNotFound, RecordingNotArchived, TierNotOffered, Throttled or ConcurrentUpdate."""
        earlier: list[Archive | None] = []

        def decide(recording: Recording) -> Recording:
            earlier.append(recording.archive)
            return self._decided(recording, days, tier)

        decided = changed(self.recordings, lambda: self.recordings.get(tenant_id, recording_id), decide)
        if decided.archive is None or decided.archive.pending_since is None:
            return decided
        try:
            return RequestCopy(recordings=self.recordings, vault=self.vault)(decided)
        except RetrievalRefused:
            self._take_back(decided, decided.archive, earlier[-1])
            raise

    def _take_back(self, recording: Recording, decided: Archive, earlier: Archive | None) -> None:
        """Nothing was asked for: the recording is as it was before this call, unless another one came meanwhile."""
        if earlier is not None and earlier.pending_since is None:
            changed(
                self.recordings,
                lambda: self.recordings.get_including_deleted(recording.tenant_id, recording.id),
                lambda one: one.restore_refused(decided, earlier),
            )

    def _decided(self, before: Recording, days: int, tier: Tier) -> Recording:
        """Give the recording as it is to be stored: unchanged when such a copy is on its way, or about to be."""
        archive = before.archive
        if before.status is not Status.ARCHIVED or archive is None or before.file is None or before.moving:
            raise RecordingNotArchived(f"only a recording in cold storage can be restored; {_how(before)}")
        found = self.vault.look(before.file.key)
        if found is None:
            raise RecordingNotArchived("its file is not in cold storage")
        now = self.clock()
        asked = archive.state == "restoring" and (found.ongoing or archive.pending_since is not None)
        if asked and SPEED[tier] <= SPEED[archive.tier or "bulk"]:
            return before
        waits = WAITS.get(found.storage_class)
        if waits is None:
            return before.restored(until=now + timedelta(days=days))
        if tier not in waits:
            raise TierNotOffered(f"{tier} is not offered for {found.storage_class}")
        if found.until is not None and not found.ongoing:
            # A copy is there: asking again keeps it longer, and it stays readable meanwhile.
            return before.renewing(until=found.until, tier=tier, days=days, at=now)
        if found.ongoing:
            # A faster tier may be asked for, and nothing else changed with it (S3 API reference, RestoreObject).
            days = archive.days or days
        # A lifecycle rule may have moved it on since it was stored.
        return before.restoring(
            tier=tier, days=days, expected_at=now + waits[tier], at=now, storage_class=found.storage_class
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCopy:
    """Ask cold storage for the copy that a stored decision names, and store that it has been asked."""

    recordings: Recordings
    vault: ArchiveStore

    def __call__(self, decided: Recording) -> Recording:
        """Safe to repeat: what is on its way is not asked for twice, what is there is kept for as many days again.

        Raises RetrievalRefused (nothing was asked for), Throttled or ConcurrentUpdate; the decision stays pending.
        """
        archive, file = decided.archive, decided.file
        if archive is None or archive.pending_since is None or file is None:
            return decided
        there = _readable_until(self.vault, file.key) is not None
        self.vault.restore(file.key, days=archive.days or DAYS, tier=archive.tier or "standard")
        # Of one that was not there the event tells when it is (TrackRestore).
        until = _readable_until(self.vault, file.key) if there else None
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(decided.tenant_id, decided.id),
            lambda one: one.restore_requested(archive, until=until),
        )


def _readable_until(vault: ArchiveStore, key: str) -> datetime | None:
    found = vault.look(key)
    return found.until if found is not None and not found.ongoing else None


def _how(recording: Recording) -> str:
    return "this one is on its way there" if recording.moving else f"this one is {recording.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRestore:
    """S3 tells that a copy is readable, or gone; what is stored is what S3 says when asked."""

    recordings: Recordings
    vault: ArchiveStore
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Raises RecordingNotFound or ConcurrentUpdate."""
        return changed(
            self.recordings,
            lambda: self.recordings.get_including_deleted(tenant_id, recording_id),
            lambda recording: self._seen(recording, self.clock()),
        )

    def _seen(self, recording: Recording, now: datetime) -> Recording:
        if recording.file is None or recording.file.store != "s3" or recording.archive is None:
            return recording
        found = self.vault.look(recording.file.key)
        if found is None or found.ongoing:
            return recording
        if found.until is not None and found.until > now:
            return recording.restored(until=found.until)
        return recording.restore_expired(at=now)
