"""Who was given a download URL."""

import secrets
from datetime import datetime, timedelta

from recordings.adapters.dynamodb.actors import current_actor
from recordings.adapters.dynamodb.items import AccessItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.queries import query_page
from recordings.adapters.dynamodb.writes import put_item
from recordings.domain.access import Access
from recordings.domain.recording import Recording
from recordings.domain.stored_file import Store
from recordings.ports.repositories import Page


class DynamoAccessLog:
    """Implements ports.repositories.AccessLog. `kept` is how long an entry is kept."""

    def __init__(self, *, kept: timedelta) -> None:
        self._kept = kept

    def note(self, recording: Recording, *, at: datetime, until: datetime, store: Store) -> None:
        # The time makes the entries sort, the nonce makes them different. botocore's repeats write the same item.
        key = f"{at:%Y-%m-%dT%H:%M:%SZ}#{secrets.token_hex(8)}"
        put_item(
            AccessItem(
                _partition(recording),
                key,
                actor=current_actor(),
                at=at,
                until=until,
                store=store,
                # Also an entry whose URL works longer than entries are kept.
                expires_at=max(at + self._kept, until),
            )
        )

    def list(self, recording: Recording, *, limit: int, cursor: str | None = None) -> Page[Access]:
        pk = _partition(recording)
        items, further = query_page(AccessItem, pk, of="access", limit=limit, cursor=cursor, newest_first=True)
        return Page([item.to_domain() for item in items], further)


def _partition(recording: Recording) -> str:
    return partition(recording.tenant_id, f"ACCESS#{recording.id}")
