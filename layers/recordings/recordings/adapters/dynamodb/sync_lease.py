"""The lease of the scheduled sync, and its watermark."""

from datetime import datetime
from typing import Final

from recordings.adapters.dynamodb.items import SyncLeaseItem
from recordings.adapters.dynamodb.writes import update_item
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.sync import FULL_SYNC_INTERVAL, SyncWindow

KEY: Final = ("SYNC", "STATE")


class DynamoSyncLease:
    """Implements ports.repositories.SyncLease."""

    def acquire(self, *, nonce: str, now: datetime, until: datetime) -> SyncWindow | None:
        lease = SyncLeaseItem.lease_until
        try:
            before = update_item(
                SyncLeaseItem(*KEY),
                [SyncLeaseItem.nonce.set(nonce), lease.set(until), SyncLeaseItem.began_at.set(now)],
                lease.does_not_exist() | (lease <= now) | (SyncLeaseItem.nonce == nonce),
                returns_old=True,
            )
        except ConcurrentUpdate:
            return None
        if before is None:
            return SyncWindow(None, True, None)
        # With its own nonce this call wrote it before, and the response was lost: when the previous sync began is no
        # longer known.
        last = before.began_at if before.nonce != nonce else None
        return SyncWindow(before.watermark, before.full_at is None or now - before.full_at >= FULL_SYNC_INTERVAL, last)

    def renew(self, *, nonce: str, until: datetime) -> None:
        try:
            update_item(SyncLeaseItem(*KEY), [SyncLeaseItem.lease_until.set(until)], SyncLeaseItem.nonce == nonce)
        except ConcurrentUpdate:
            # Another sync holds it.
            return

    def release(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        actions = [
            SyncLeaseItem.ended_by.set(nonce),
            SyncLeaseItem.nonce.remove(),
            SyncLeaseItem.lease_until.remove(),
        ]
        if watermark is not None:
            actions.append(SyncLeaseItem.watermark.set(watermark))
        if full_at is not None:
            actions.append(SyncLeaseItem.full_at.set(full_at))
        try:
            update_item(SyncLeaseItem(*KEY), actions, SyncLeaseItem.nonce == nonce)
        except ConcurrentUpdate:
            # Another sync holds it, or this very write did it and its response was lost.
            return
