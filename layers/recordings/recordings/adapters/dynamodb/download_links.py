"""Until when the URLs work that were given out of files in R2: one item for each recording of which there is one."""

from datetime import UTC, datetime, timedelta
from typing import Final

from recordings.adapters.dynamo import (
    ConditionsFailed,
    condition_check,
    item_key,
    partition,
    read_item,
    recording_key,
    transact,
    update_action,
)
from recordings.domain.recording import Recording

# The item outlives the URL, so that it can be read until R2 is emptied; DynamoDB removes it by itself.
KEPT_AFTER_THE_END: Final = timedelta(days=30)


class DynamoDownloadLinks:
    """Implements ports.DownloadLinks."""

    def note(self, recording: Recording, *, until: datetime) -> bool:
        file = recording.file
        if file is None or file.provider != "r2":
            return False
        here = "#file.provider = :r2 AND #file.#key = :key"
        names = {"#file": "file", "#key": "key"}
        try:
            transact(
                [
                    condition_check(recording_key(recording), here, {":r2": "r2", ":key": file.key}, names),
                    update_action(
                        item_key(*_place(recording)),
                        "SET ends_at = :until, expires_at = :expires",
                        "attribute_not_exists(ends_at) OR ends_at < :until",
                        {":until": _text(until), ":expires": int((until + KEPT_AFTER_THE_END).timestamp())},
                    ),
                ]
            )
        except ConditionsFailed as refusal:
            # That a URL which ends later was given out before is as good.
            return 0 not in refusal.refused
        return True

    def latest(self, recording: Recording) -> datetime | None:
        item = read_item(*_place(recording))
        return datetime.fromisoformat(item["ends_at"]) if item is not None else None


def _place(recording: Recording) -> tuple[str, str]:
    return partition(recording.tenant_id, "URLS"), recording.id


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
