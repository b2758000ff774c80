"""Archiving task: measure the file in R2 and plan its move."""

from recordings.adapters.archive_store import ArchiveBucket
from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.object_store import R2
from recordings.adapters.system import now
from recordings.adapters.transfer import BucketReader
from recordings.services.move_to_archive import PlanArchive
from recordings.workflow.task import Payload, task

plan_archive = PlanArchive(recordings=DynamoRecordings(), reader=BucketReader(R2()), files=ArchiveBucket(), clock=now)


@task
def handler(payload: Payload) -> Payload:
    return {"plan": plan_archive(payload["work"])}
