"""What the next sync processes, whatever its watermark."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from recordings.adapters.dynamodb.items import RetryItem
from recordings.adapters.dynamodb.queries import query_items
from recordings.adapters.dynamodb.writes import delete_item, put_item
from recordings.ports.repositories import SyncItem

PARTITION: Final = "LOOKS"
# Cloudflare keeps no file longer than seven days.
RETRY_QUEUE_TTL: Final = timedelta(days=8)


class DynamoRetryQueue:
    """Implements ports.KeptLooks."""

    def all(self) -> Sequence[SyncItem]:
        return [json.loads(item.look) for item in query_items(RetryItem, PARTITION)]

    def keep(self, look: SyncItem) -> None:
        put_item(retry_item(look))

    def drop(self, look: SyncItem) -> None:
        delete_item(retry_item(look))


def retry_item(look: SyncItem) -> RetryItem:
    """Return the item that keeps a look for the syncs to come."""
    name = look["capture_id"] or f"MEETING#{look['meeting_id']}"
    return RetryItem(PARTITION, name, look=json.dumps(look), expires_at=RETRY_QUEUE_TTL)
