"""Processing task: measure the file and plan its transfer."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.dynamodb.rate_limit import CallBudget
from recordings.adapters.media import read_media_facts
from recordings.adapters.object_store import R2
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import deadlines, now
from recordings.adapters.transfer import UrlReader
from recordings.services.process_recording import PlanTransfer
from recordings.workflow.task import Payload, task

plan_transfer = PlanTransfer(
    recordings=DynamoRecordings(),
    recorder=RealtimeKit(CallBudget("runs")),
    files=R2(),
    reader=UrlReader(),
    read_media_facts=read_media_facts,
    clock=now,
    deadlines=deadlines(),
)


@task
def handler(payload: Payload) -> Payload:
    return {**plan_transfer(payload["work"], ranges=payload.get("ranges", True))}
