"""Sync task: compare recordings with Cloudflare, each by its id, and change what differs."""

from contextlib import AbstractContextManager

from recordings.domain.reconciliation import METRICS, Action
from recordings.domain.sync import SyncItem
from recordings.observability import count, identify_during
from recordings.wiring import sync as wiring
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

# The keys of an execution that the previous release started.
FORMER_KEYS = {"capture_id": "cloudflare_recording_id", "sure": "meeting_confirmed", "kept": "queued"}


def count_action(action: Action) -> None:
    if action in METRICS:
        count(METRICS[action])


def identify_item(item: SyncItem) -> AbstractContextManager[object]:
    return identify_during(
        tenant_id=item.tenant_id,
        recording_id=item.recording_id,
        cloudflare_recording_id=item.cloudflare_recording_id,
    )


reconcile_batch = wiring.reconcile_batch(on_action=count_action, during=identify_item)


@task
def handler(payload: Payload) -> Payload:
    items = [SyncItem(**{FORMER_KEYS.get(key, key): value for key, value in item.items()}) for item in payload["looks"]]
    result = reconcile_batch(items, nonce=payload["nonce"])
    count("RecordingsSynced", result.changed)
    count("FilesExpiringSoon", result.expiring)
    count("LateDeliveriesRemoved", result.removed)
    count("LooksKept", result.queued)
    return {"changed": result.changed, "kept": result.queued}
