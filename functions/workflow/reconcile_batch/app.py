"""Sync task: look closely at what differs, and bring it in line."""

from recordings.adapters.archive_store import ArchiveBucket
from recordings.adapters.download_links import DynamoDownloadLinks
from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.dynamodb.rate_limit import CallBudget
from recordings.adapters.dynamodb.retry_queue import DynamoKeptLooks
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.sync_lease import DynamoSyncState
from recordings.adapters.object_store import R2
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.step_functions import ArchivingRuns, ProcessingRuns
from recordings.adapters.system import deadlines, new_id, now
from recordings.domain.reconcile import METRICS
from recordings.observability import count, identify_during
from recordings.services.late_delivery import RemoveLateDelivery
from recordings.services.reconcile_recording import ReconcileRecording
from recordings.services.resume_archive import ResumeArchive
from recordings.services.sync_all import LEASE, LookClosely
from recordings.workflow.task import Payload, task

state = DynamoSyncState()
rooms, recordings, workflow = DynamoRooms(), DynamoRecordings(), ProcessingRuns()
recorder, r2, vault = RealtimeKit(CallBudget("sweep")), R2(), ArchiveBucket()
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
        archiving=ArchivingRuns(),
        vault=vault,
        source=r2,
        links=DynamoDownloadLinks(),
        clock=now,
    ),
    remove_late_delivery=RemoveLateDelivery(files=r2, vault=vault),
    kept=DynamoKeptLooks(),
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
