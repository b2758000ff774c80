"""Archiving task: verify the copy, point the recording to it, then empty R2 unless a URL still needs it."""

from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import STORAGE_CLASS, ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import now
from recordings.observability import count
from recordings.services.transfer.move_to_archive import FinishArchive
from recordings.workflow.task import Payload, task

finish_archive = FinishArchive(
    recordings=DynamoRecordings(),
    files=ArchiveBucket(),
    source=R2Bucket(),
    links=DynamoDownloadLinks(),
    clock=now,
    storage_class=STORAGE_CLASS,
)


@task
def handler(payload: Payload) -> Payload:
    finish_archive(payload["work"], payload["plan"], payload["done"])
    count("RecordingsArchived")
    return {}
