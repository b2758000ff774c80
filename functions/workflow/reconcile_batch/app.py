"""Sync task: look closely at what differs, and bring it in line."""

from recordings.adapters.aws.executions import ArchivingStateMachine, ProcessingStateMachine
from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import new_id, now
from recordings.domain.reconciliation import METRICS
from recordings.observability import count, identify_during
from recordings.services.sync.reconcile_recording import ReconcileRecording
from recordings.services.sync.resume_archive import ResumeArchive
from recordings.services.sync.sync_all import LEASE, LookClosely
from recordings.services.transfer.late_delivery import RemoveLateDelivery
from recordings.wiring.shared import deadlines, provider
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

state = DynamoSyncLease()
rooms, recordings, workflow = DynamoRooms(), DynamoRecordings(), ProcessingStateMachine()
recorder, r2, vault = provider("background"), R2Bucket(), ArchiveBucket()
reconcile = ReconcileRecording(
    recordings=recordings,
    recorder=recorder,
    workflow=workflow,
    files=r2,
    clock=now,
    new_id=new_id,
    deadlines=deadlines(),
    acting=lambda act: count(METRICS[act]) if act in METRICS else None,
)
look_closely = LookClosely(
    rooms=rooms,
    recordings=recordings,
    recorder=recorder,
    workflow=workflow,
    resume_archive=ResumeArchive(
        recordings=recordings,
        archiving=ArchivingStateMachine(),
        vault=vault,
        source=r2,
        links=DynamoDownloadLinks(),
        clock=now,
    ),
    remove_late_delivery=RemoveLateDelivery(files=r2, vault=vault),
    kept=DynamoRetryQueue(),
    reconcile=reconcile,
    clock=now,
    deadlines=deadlines(),
    during=lambda look: identify_during(
        tenant_id=look["tenant_id"],
        recording_id=look["recording_id"],
        cloudflare_recording_id=look["capture_id"],
    ),
)


@task
def handler(payload: Payload) -> Payload:
    state.renew(nonce=payload["nonce"], until=now() + LEASE)
    looked = look_closely(payload["looks"])
    count("RecordingsSynced", looked.changed)
    count("FilesExpiringSoon", looked.expiring)
    count("LateDeliveriesRemoved", looked.removed)
    count("LooksKept", looked.kept)
    return {"changed": looked.changed, "kept": looked.kept}
