"""Messages of the sync state machine."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator

from recordings.domain.sync import SyncItem, SyncStart, SyncWindow
from recordings.workflow.messages.base import Payload, TaskInput, TaskOutput, renamed

# The keys of an item in the last release.
ITEM_NAMES: Final = {"capture_id": "cloudflare_recording_id", "sure": "meeting_confirmed", "kept": "queued"}


def _item(value: object) -> object:
    return {ITEM_NAMES.get(key, key): field for key, field in value.items()} if isinstance(value, Mapping) else value


class BeginSyncInput(TaskInput):
    nonce: str


class BeginSyncOutput(TaskOutput):
    # None if another sync holds the lease.
    sync: SyncStart | None

    def last_release_keys(self, payload: Payload) -> Payload:
        sync: Payload | None = payload["sync"]
        if sync is None:
            return {"begun": False}
        window = sync["window"]
        return {
            "begun": True,
            "nonce": sync["nonce"],
            "at": sync["started_at"],
            "watermark": window["watermark"],
            "full": window["full"],
            "last": window["previous_started_at"],
        }


class ScanProviderRecordingsInput(TaskInput):
    nonce: str
    window: SyncWindow
    # Counts from 1. Each scan reads several pages.
    page: int


class ScanProviderRecordingsOutput(TaskOutput):
    batches: list[list[SyncItem]]
    # When the newest recording of these pages started; None if they were empty.
    watermark: AwareDatetime | None
    # None after the last page.
    next_page: int | None


class ReconcileBatchInput(TaskInput):
    nonce: str
    items: Annotated[list[Annotated[SyncItem, BeforeValidator(_item)]], renamed("items", "looks")]


class ReconcileBatchOutput(TaskOutput):
    """How many recordings were changed, and how many items the next sync processes again."""

    changed: int
    queued: int


class EndSyncInput(TaskInput):
    nonce: str
    # Both are None after a failed sync: the next one lists the same recordings again.
    watermark: Annotated[AwareDatetime | None, renamed("watermark", "newest")]
    full_at: AwareDatetime | None
    failed: Annotated[bool, renamed("failed", "gave_up")] = False
