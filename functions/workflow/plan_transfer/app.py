"""Processing task: measure the file and plan its transfer."""

from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.media import read_media_facts
from recordings.adapters.storage.source import UrlReader
from recordings.adapters.system import deadlines, now
from recordings.services.transfer.process_recording import PlanTransfer
from recordings.workflow.task import Payload, task

plan_transfer = PlanTransfer(
    recordings=DynamoRecordings(),
    recorder=RealtimeKitClient(DynamoRateLimiter("runs")),
    files=R2Bucket(),
    reader=UrlReader(),
    read_media_facts=read_media_facts,
    clock=now,
    deadlines=deadlines(),
)


@task
def handler(payload: Payload) -> Payload:
    return {**plan_transfer(payload["work"], ranges=payload.get("ranges", True))}
