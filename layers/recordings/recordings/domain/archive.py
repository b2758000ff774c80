"""Where an archived recording is, and whether it can be read."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Self

type ArchiveState = Literal["moving", "stored", "restoring", "restored"]
type Tier = Literal["standard", "bulk", "expedited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The archive of a recording. `days` is how long a restored copy stays readable.

    `expected_at` is when a requested copy should be readable, `restored_until` when a readable copy expires.
    """

    state: ArchiveState
    storage_class: str | None = None
    restored_until: datetime | None = None
    expected_at: datetime | None = None
    tier: Tier | None = None
    days: int | None = None
    # The key in R2 that is deleted after the move.
    moved_from: str | None = None
    # When a restore was decided that S3 may not have received yet. None if S3 has received the last one.
    pending_since: datetime | None = None
    # R2 keeps the file at `moved_from` at least until then, because presigned URLs of it may still work. None after the
    # file was deleted there.
    source_kept_until: datetime | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a stored decision has not been carried out completely."""
        return self.state == "moving" or self.pending_since is not None or self.source_kept_until is not None

    def is_overdue(self, now: datetime, *, grace_period: timedelta) -> bool:
        """Return whether a restore request or the deletion in R2 should have happened by now."""
        pending_since, kept_until = self.pending_since, self.source_kept_until
        if pending_since is not None and now - pending_since > grace_period:
            return True
        return kept_until is not None and kept_until <= now

    def source_kept(self, *, until: datetime) -> Self:
        """Return the archive with a later `source_kept_until`, or self if R2 keeps the file that long or not at all."""
        if self.source_kept_until is None or self.source_kept_until >= until:
            return self
        return replace(self, source_kept_until=until)

    def restore_requested(self, decided: Self, *, until: datetime | None) -> Self:
        """Return the archive after S3 received the restore that was `decided`; self after a later decision.

        `until` is when a copy expires that is readable already. None if S3 still has to make the copy.
        """
        if self.pending_since is None or self.pending_since != decided.pending_since:
            return self
        if until is not None:
            return replace(self, state="restored", restored_until=until, expected_at=None, pending_since=None)
        return replace(self, state="restoring", restored_until=None, pending_since=None)

    def restored(self, *, until: datetime) -> Self:
        """Return the archive with a copy that is readable `until` then."""
        return replace(self, state="restored", restored_until=until, expected_at=None)

    def restore_expired(self, *, at: datetime) -> Self:
        """Return the archive without a readable copy, or self if a newer copy is readable or requested."""
        if self.state != "restored" or (self.restored_until or at) > at or self.pending_since is not None:
            return self
        return replace(self, state="stored", restored_until=None, tier=None, days=None)
