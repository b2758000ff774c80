"""Who was given a download URL."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from recordings.adapters.dynamodb.actors import current_actor
from recordings.adapters.dynamodb.cursors import decode_cursor, encode_cursor
from recordings.adapters.dynamodb.items import AccessItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.queries import query_items
from recordings.adapters.dynamodb.writes import put_item
from recordings.domain.access import Access
from recordings.domain.actor import Actor
from recordings.domain.recording import Recording
from recordings.domain.stored_file import Store
from recordings.ports.repositories import Page


class DynamoAccessLog:
    """Implements ports.repositories.AccessLog. `kept` is how long an entry is kept."""

    def __init__(self, *, kept: timedelta, actor: Callable[[], Actor] = current_actor) -> None:
        self._kept, self._actor = kept, actor

    def note(self, recording: Recording, *, at: datetime, until: datetime, store: Store) -> None:
        # The time makes the entries sort, the nonce makes them different. botocore's repeats write the same item.
        key = f"{at:%Y-%m-%dT%H:%M:%SZ}#{secrets.token_hex(8)}"
        put_item(
            AccessItem(
                _partition(recording),
                key,
                actor=self._actor(),
                at=at,
                until=until,
                store=store,
                # Also an entry whose URL works longer than entries are kept.
                expires_at=max(at + self._kept, until),
            )
        )

    def list(self, recording: Recording, *, limit: int, cursor: str | None = None) -> Page[Access]:
        before = decode_cursor("access", cursor) if cursor is not None else None
        items = query_items(AccessItem, _partition(recording), after=before, page_size=limit + 1, newest_first=True)
        # One more than asked for shows whether there is a next page.
        found = [*islice(items, limit + 1)]
        page = [item.to_domain() for item in found[:limit]]
        return Page(page, encode_cursor("access", found[limit - 1].sk) if len(found) > limit else None)


def _partition(recording: Recording) -> str:
    return partition(recording.tenant_id, f"ACCESS#{recording.id}")
