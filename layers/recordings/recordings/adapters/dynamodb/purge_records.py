"""What is kept of purged recordings, and what the table's stream tells of a removal.

    purge record     T#<tenant>#PURGED        rec_<ULID>       until DynamoDB removes it, which has the purge repeated

Its `recording_id` is no other item's attribute: the function's event filter knows it by that.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

from recordings.adapters.dynamo import (
    ConditionsFailed,
    item_key,
    partition,
    plain,
    read_item,
    recording_of,
    transact,
    update_action,
)
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.purge import SWEPT_AGAIN_AFTER, ItemKind, PurgeRecord, Removal, StoreItem

# Who removes an item at the end of its time (DynamoDB Developer Guide, "DynamoDB Streams and TTL").
TIME_TO_LIVE: Final = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
KIND: Final = "PURGED"
TRIES: Final = 5


class DynamoPurgeRecords:
    """Implements purge_recording.PurgeRecords."""

    def note(self, record: PurgeRecord) -> PurgeRecord:
        place = partition(record.tenant_id, KIND), record.id
        for _ in range(TRIES):
            item = read_item(*place)
            kept = record
            if item is not None:
                before = _record(item)
                kept = replace(before, found=tuple(dict.fromkeys((*before.found, *record.found))))
            expires = int((kept.purged_at + SWEPT_AGAIN_AFTER).timestamp())
            try:
                transact(
                    [
                        update_action(
                            item_key(*place),
                            "SET recording_id = :id, purge = :purge, expires_at = :expires",
                            "attribute_not_exists(purge)" if item is None else "purge = :before",
                            {":id": record.id, ":purge": _text(kept), ":expires": expires}
                            | ({":before": item["purge"]} if item is not None else {}),
                        )
                    ]
                )
            except ConditionsFailed:
                # A repeat of the same purge runs beside this one.
                continue
            return kept
        raise ConcurrentUpdate("another purge of this recording runs")


def removal_of(record: Mapping[str, Any]) -> Removal | PurgeRecord | None:
    """What a record of the table's stream tells: that a recording, or what is kept of a purged one, was removed.

    None for anything else. A purge record counts only when DynamoDB removed it at its end.
    """
    image = record.get("dynamodb", {}).get("OldImage")
    if record.get("eventName") != "REMOVE" or not image:
        return None
    by_time_to_live = record.get("userIdentity") == TIME_TO_LIVE
    item = plain(image)
    if "purge" in item:
        kept = _record(item)
        mine = item["pk"] == partition(kept.tenant_id, KIND) and item["sk"] == kept.id
        return kept if mine and by_time_to_live else None
    recording = recording_of(image)
    if recording is None:
        return None
    expires = item.get("expires_at")
    return Removal(
        recording=recording,
        by_time_to_live=by_time_to_live,
        expires_at=datetime.fromtimestamp(int(expires), UTC) if expires is not None else None,
    )


def _text(record: PurgeRecord) -> str:
    told = asdict(record)
    for name in ("created_at", "deleted_at", "purged_at"):
        told[name] = told[name].isoformat()
    return json.dumps(told)


def _record(item: Mapping[str, Any]) -> PurgeRecord:
    told = json.loads(item["purge"])
    for name in ("created_at", "deleted_at", "purged_at"):
        told[name] = datetime.fromisoformat(told[name])
    told["known"] = tuple((store, key) for store, key in told["known"])
    told["found"] = tuple(StoreItem(**one | {"kind": ItemKind(one["kind"])}) for one in told["found"])
    return PurgeRecord(**told)
