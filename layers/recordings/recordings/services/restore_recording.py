"""Ask cold storage for a readable copy, and follow what becomes of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.errors import RecordingNotArchived, TierNotOffered
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording, Tier
from recordings.ports import Clock, Recordings, Vault
from recordings.services.change_recording import changed

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
    recordings: Recordings
    vault: Vault
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str, days: int, tier: Tier) -> Recording:
        """Raises RecordingNotFound, RecordingNotArchived, TierNotOffered, Throttled or ConcurrentUpdate."""
        return changed(
            self.recordings,
            lambda: self.recordings.get(tenant_id, recording_id),
            lambda recording: self._asked(recording, days, tier),
        )

    def _asked(self, before: Recording, days: int, tier: Tier) -> Recording:
        """Ask for a copy, unless one is on its way; give the recording as it is to be stored."""
        if before.status is not Status.ARCHIVED or before.archive is None or before.file is None or before.moving:
            raise RecordingNotArchived(f"only a recording in cold storage can be restored; {_how(before)}")
        found = self.vault.look(before.file.key)
        if found is None:
            raise RecordingNotArchived("its file is not in cold storage")
        now = self.clock()
        if found.ongoing and SPEED[tier] <= SPEED[before.archive.tier or "bulk"]:
            return before
        waits = WAITS.get(found.storage_class)
        if waits is None:
            return before.restored(until=now + timedelta(days=days))
        if tier not in waits:
            raise TierNotOffered(f"{tier} is not offered for {found.storage_class}")
        if found.ongoing:
            # A faster tier may be asked for, and nothing else changed with it (S3 API reference, RestoreObject).
            days = before.archive.days or days
        self.vault.restore(before.file.key, days=days, tier=tier)
        if found.until is None or found.ongoing:
            # A lifecycle rule may have moved it on since it was stored.
            return before.restoring(
                tier=tier, days=days, expected_at=now + waits[tier], storage_class=found.storage_class
            )
        # A copy is there: asking again keeps it longer, and it stays readable meanwhile.
        renewed = self.vault.look(before.file.key)
        return before.restored(until=(renewed and renewed.until) or found.until)


def _how(recording: Recording) -> str:
    return "this one is on its way there" if recording.moving else f"this one is {recording.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRestore:
    """S3 tells that a copy is readable, or gone; what is stored is what S3 says when asked."""

    recordings: Recordings
    vault: Vault
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Raises RecordingNotFound or ConcurrentUpdate."""
        return changed(
            self.recordings,
            lambda: self.recordings.find(tenant_id, recording_id),
            lambda recording: self._seen(recording, self.clock()),
        )

    def _seen(self, recording: Recording, now: datetime) -> Recording:
        if recording.file is None or recording.file.provider != "s3" or recording.archive is None:
            return recording
        found = self.vault.look(recording.file.key)
        if found is None or found.ongoing:
            return recording
        if found.until is not None and found.until > now:
            return recording.restored(until=found.until)
        return recording.restore_expired(at=now)
