"""Acquire the lease of the scheduled sync."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from recordings.domain.sync import SyncStart
from recordings.ports.repositories import SyncLease
from recordings.ports.system import Clock

# Longer than one step of a sync with its longest pause before a retry. Each scan and each batch renews the lease, so it
# expires only if the execution has died.
LEASE_DURATION: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSync:
    lease: SyncLease
    clock: Clock

    def __call__(self, *, nonce: str) -> SyncStart | None:
        """Acquire the lease. Return None while another sync holds it.

        A repeated call with the same nonce acquires the lease again.

        Raises:
            Throttled: DynamoDB is busy or does not respond
        """
        now = self.clock()
        window = self.lease.acquire(nonce=nonce, now=now, until=now + LEASE_DURATION)
        return SyncStart(nonce=nonce, started_at=now, window=window) if window is not None else None
