"""The items that the next sync processes, whatever its watermark.

An item is stored as JSON with the keys of the first release, so that both releases can read it after a deployment and
after a rollback.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from recordings.adapters.dynamodb.items import RetryItem
from recordings.adapters.dynamodb.queries import query_items
from recordings.adapters.dynamodb.writes import delete_item, put_item

if TYPE_CHECKING:
    from recordings.domain.sync import SyncItem

PARTITION: Final = "LOOKS"
# Cloudflare keeps no file longer than seven days.
RETRY_QUEUE_TTL: Final = timedelta(days=8)


class DynamoRetryQueue:
    """Implements ports.repositories.RetryQueue."""

    def list_all(self) -> "Sequence[SyncItem]":
        return [_from_json(item.look) for item in query_items(RetryItem, PARTITION)]

    def add(self, item: "SyncItem") -> None:
        put_item(retry_item(item))

    def remove(self, item: "SyncItem") -> None:
        delete_item(retry_item(item))


def retry_item(item: "SyncItem") -> RetryItem:
    """Return the table's item for an item of the retry queue."""
    name = item.cloudflare_recording_id or f"MEETING#{item.meeting_id}"
    return RetryItem(PARTITION, name, look=_to_json(item), expires_at=RETRY_QUEUE_TTL)


def meeting_retry_item(meeting_id: str) -> RetryItem:
    """Return the table's item that makes the next sync process a meeting."""
    # The functions that only read rooms do not load this module.
    from recordings.domain.sync import SyncItem

    return retry_item(SyncItem.of_meeting(meeting_id))


def _to_json(item: "SyncItem") -> str:
    return json.dumps(
        {
            "capture_id": item.cloudflare_recording_id,
            "meeting_id": item.meeting_id,
            "sure": item.meeting_confirmed,
            "tenant_id": item.tenant_id,
            "recording_id": item.recording_id,
            "kept": item.queued,
        }
    )


def _from_json(text: str) -> "SyncItem":
    from recordings.domain.sync import SyncItem

    document = json.loads(text)
    return SyncItem(
        cloudflare_recording_id=document["capture_id"],
        meeting_id=document["meeting_id"],
        meeting_confirmed=document["sure"],
        tenant_id=document["tenant_id"],
        recording_id=document["recording_id"],
        queued=document["kept"],
    )
