"""Sync task: compare recordings with Cloudflare, each by its id, and change what differs."""

from contextlib import AbstractContextManager

from recordings.domain.reconciliation import METRICS, Action
from recordings.domain.sync import SyncItem
from recordings.observability import count, identify_during
from recordings.wiring import sync as wiring
from recordings.workflow.messages.sync import ReconcileBatchInput, ReconcileBatchOutput
from recordings.workflow.task import task_of


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


@task_of("sync")
def handler(message: ReconcileBatchInput) -> ReconcileBatchOutput:
    result = reconcile_batch(message.items, nonce=message.nonce)
    count("RecordingsSynced", result.changed)
    count("FilesExpiringSoon", result.expiring)
    count("LateDeliveriesRemoved", result.removed)
    count("SyncItemsQueued", result.queued)
    return ReconcileBatchOutput(changed=result.changed, queued=result.queued)
