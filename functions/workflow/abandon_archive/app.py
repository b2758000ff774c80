"""Archiving task: put a recording whose move failed for good back to ready."""

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.system import now
from recordings.observability import count
from recordings.services.transfer.move_to_archive import AbandonArchive
from recordings.workflow.task import Payload, task

abandon_archive = AbandonArchive(recordings=DynamoRecordings(), clock=now, copies=ArchiveBucket())


@task
def handler(payload: Payload) -> Payload:
    count("ArchivesAbandoned")
    return {"status": abandon_archive(payload["work"])}
