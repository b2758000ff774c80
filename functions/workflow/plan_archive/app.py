"""Archiving task: measure the file in R2 and plan its move."""

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.source import BucketReader
from recordings.adapters.system import now
from recordings.services.transfer.move_to_archive import PlanArchive
from recordings.workflow.task import Payload, task

plan_archive = PlanArchive(
    recordings=DynamoRecordings(), reader=BucketReader(R2Bucket()), files=ArchiveBucket(), clock=now
)


@task
def handler(payload: Payload) -> Payload:
    return {"plan": plan_archive(payload["work"])}
