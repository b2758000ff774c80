"""Archiving task: read one run of parts from R2 once more, where nothing else proves them right."""

from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.source import BucketReader
from recordings.services.transfer.move_to_archive import ArchiveFence, key_in_r2
from recordings.services.transfer.transfer_file import CheckSegment
from recordings.workflow.task import Payload, task

check_segment = CheckSegment(
    locate=key_in_r2,
    fence=ArchiveFence(recordings=DynamoRecordings()),
    files=ArchiveBucket(),
    reader=BucketReader(R2Bucket()),
    sums=DynamoPartChecksums(),
)


@task
def handler(payload: Payload) -> Payload:
    return {"mended": check_segment(payload["work"], payload["plan"], payload["segment"])}
