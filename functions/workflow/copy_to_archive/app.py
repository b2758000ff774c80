"""Archiving task: copy one run of parts from R2 to the archive bucket."""

from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.source import BucketReader
from recordings.observability import count_bytes
from recordings.services.transfer.move_to_archive import ArchiveFence, NoteMoved, key_in_r2
from recordings.services.transfer.transfer_file import CopySegment, Work
from recordings.workflow.task import Payload, task

recordings = DynamoRecordings()
note = NoteMoved(recordings=recordings)


def progressing(work: Work, copied: int) -> None:
    note(work, copied)
    count_bytes("BytesArchived", copied)


copy_segment = CopySegment(
    locate=key_in_r2,
    fence=ArchiveFence(recordings=recordings),
    files=ArchiveBucket(),
    reader=BucketReader(R2Bucket()),
    sums=DynamoPartChecksums(),
    progressing=progressing,
)


@task
def handler(payload: Payload) -> Payload:
    return {"copied": copy_segment(payload["work"], payload["plan"], payload["segment"])}
