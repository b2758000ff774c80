"""Release the lease of the scheduled sync, and move the watermark."""

from dataclasses import dataclass
from datetime import datetime

from recordings.ports.repositories import SyncLease


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSync:
    lease: SyncLease

    def __call__(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        """Release the lease if this sync still holds it.

        Pass None for `watermark` after a failed sync: the next sync then lists the same recordings again. `full_at` is
        the start time of a full sync. None keeps the time of the last one.

        Raises:
            Throttled: DynamoDB is busy or does not respond
        """
        self.lease.release(nonce=nonce, watermark=watermark, full_at=full_at)
