"""The state of the scheduled sync: its watermark, and who runs it."""

from datetime import datetime
from typing import Final

from recordings.adapters.aws.errors import CONDITION_FAILED, Refused, translated_errors
from recordings.adapters.dynamo import TABLE, client
from recordings.services.sync_all import FULL_EVERY, Begun

KEY: Final = {"pk": {"S": "SYNC"}, "sk": {"S": "STATE"}}


class DynamoSyncState:
    """Implements sync_all.SyncState."""

    def begin(self, *, nonce: str, now: datetime, until: datetime) -> Begun | None:
        try:
            with translated_errors(CONDITION_FAILED):
                item = client.update_item(
                    TableName=TABLE,
                    Key=KEY,
                    UpdateExpression="SET nonce = :nonce, lease_until = :until, began_at = :now",
                    ConditionExpression="attribute_not_exists(lease_until) OR lease_until <= :now OR nonce = :nonce",
                    ExpressionAttributeValues={
                        ":nonce": {"S": nonce},
                        ":until": {"S": until.isoformat()},
                        ":now": {"S": now.isoformat()},
                    },
                    ReturnValues="ALL_OLD",
                ).get("Attributes", {})
        except Refused:
            return None
        watermark, full_at, last = (
            datetime.fromisoformat(item[name]["S"]) if name in item else None
            for name in ("watermark", "full_at", "began_at")
        )
        if item.get("nonce", {}).get("S") == nonce:
            # This call wrote it before, and its answer was lost: when the run before began is no longer known.
            last = None
        return Begun(watermark, full_at is None or now - full_at >= FULL_EVERY, last)

    def renew(self, *, nonce: str, until: datetime) -> None:
        try:
            with translated_errors(CONDITION_FAILED):
                client.update_item(
                    TableName=TABLE,
                    Key=KEY,
                    UpdateExpression="SET lease_until = :until",
                    ConditionExpression="nonce = :nonce",
                    ExpressionAttributeValues={":nonce": {"S": nonce}, ":until": {"S": until.isoformat()}},
                )
        except Refused:
            # Another run holds it.
            return

    def end(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        kept = {name: at for name, at in (("watermark", watermark), ("full_at", full_at)) if at is not None}
        sets = "".join(f", {name} = :{name}" for name in kept)
        try:
            with translated_errors(CONDITION_FAILED):
                client.update_item(
                    TableName=TABLE,
                    Key=KEY,
                    UpdateExpression=f"SET ended_by = :nonce{sets} REMOVE nonce, lease_until",
                    ConditionExpression="nonce = :nonce",
                    ExpressionAttributeValues={
                        ":nonce": {"S": nonce},
                        **{f":{name}": {"S": at.isoformat()} for name, at in kept.items()},
                    },
                )
        except Refused:
            # Another run holds it, or this very write did it and its answer was lost.
            return
