"""Sync task: look closely at what differs, and bring it in line."""

from recordings.adapters.budget import CallBudget
from recordings.adapters.dynamo import DynamoRecordings, DynamoRooms
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.step_functions import ArchivingRuns, ProcessingRuns
from recordings.adapters.system import deadlines, new_id, now
from recordings.observability import count
from recordings.services.reconcile_recording import ReconcileRecording
from recordings.services.sync_all import LookClosely
from recordings.workflow.task import Payload, task

rooms, recordings, workflow = DynamoRooms(), DynamoRecordings(), ProcessingRuns()
recorder = RealtimeKit(CallBudget(sweep=True))
reconcile = ReconcileRecording(
    recordings=recordings, recorder=recorder, workflow=workflow, clock=now, new_id=new_id, deadlines=deadlines()
)
look_closely = LookClosely(
    rooms=rooms,
    recordings=recordings,
    recorder=recorder,
    workflow=workflow,
    archiving=ArchivingRuns(),
    reconcile=reconcile,
    clock=now,
)


@task
def handler(payload: Payload) -> Payload:
    changed = look_closely(payload["looks"])
    count("RecordingsSynced", changed)
    return {"changed": changed}
