"""Purge records, and what the table's stream says of removed items."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from pynamodb.constants import STRING

from recordings.adapters.dynamodb.items import PurgeRecordItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.queries import get_item
from recordings.adapters.dynamodb.recording_items import recording_item_of
from recordings.adapters.dynamodb.writes import update_item
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.purge import SWEPT_AGAIN_AFTER, ItemKind, PurgeRecord, Removal, StoreItem

MAX_ATTEMPTS: Final = 5
_TIMES: Final = ("created_at", "deleted_at", "purged_at")


class DynamoPurgeRecords:
    """Implements ports.repositories.PurgeRecords."""

    def note(self, record: PurgeRecord) -> PurgeRecord:
        purge = PurgeRecordItem.purge
        for _ in range(MAX_ATTEMPTS):
            stored = get_item(PurgeRecordItem, *_key(record))
            kept = record
            if stored is not None:
                first = _decode(stored.purge)
                kept = replace(first, found=tuple(dict.fromkeys((*first.found, *record.found))))
            try:
                update_item(
                    PurgeRecordItem(*_key(record)),
                    [
                        PurgeRecordItem.recording_id.set(record.id),
                        purge.set(_encode(kept)),
                        PurgeRecordItem.expires_at.set(kept.purged_at + SWEPT_AGAIN_AFTER),
                    ],
                    purge.does_not_exist() if stored is None else purge == stored.purge,
                )
            except ConcurrentUpdate:
                # A repeat of the same purge runs at the same time, or this very write did it and its response was lost.
                continue
            return kept
        raise ConcurrentUpdate("another purge of this recording is running")


def removal_of(image: Mapping[str, Any] | None, by_time_to_live: bool) -> Removal | PurgeRecord | None:
    """Return what a removed item was: a recording, or a purge record. None for other items, and without an image.

    A purge record counts only if DynamoDB's TTL deleted it.
    """
    if not image:
        return None
    if "purge" in image:
        purged = _decode(image["purge"][STRING])
        has_its_key = (image["pk"][STRING], image["sk"][STRING]) == _key(purged)
        return purged if has_its_key and by_time_to_live else None
    item = recording_item_of(image)
    if item is None:
        return None
    return Removal(recording=item.to_domain(), by_time_to_live=by_time_to_live, expires_at=item.expires_at)


def _key(record: PurgeRecord) -> tuple[str, str]:
    return partition(record.tenant_id, "PURGED"), record.id


def _encode(record: PurgeRecord) -> str:
    fields = asdict(record)
    for name in _TIMES:
        fields[name] = fields[name].isoformat()
    return json.dumps(fields)


def _decode(text: str) -> PurgeRecord:
    fields = json.loads(text)
    for name in _TIMES:
        fields[name] = datetime.fromisoformat(fields[name])
    fields["known"] = tuple((store, key) for store, key in fields["known"])
    fields["found"] = tuple(StoreItem(**item | {"kind": ItemKind(item["kind"])}) for item in fields["found"])
    return PurgeRecord(**fields)
