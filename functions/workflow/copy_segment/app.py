"""Processing task: copy one run of parts from Cloudflare to R2."""

from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.source import UrlReader
from recordings.adapters.system import deadlines, now
from recordings.observability import count_bytes
from recordings.services.transfer.process_recording import CloudflareUrl, NoteCopied, ProcessingFence
from recordings.services.transfer.transfer_file import CopySegment, Work
from recordings.workflow.task import Payload, task

recordings = DynamoRecordings()
note = NoteCopied(recordings=recordings)


def progressing(work: Work, copied: int) -> None:
    note(work, copied)
    count_bytes("BytesCopied", copied)


locate = CloudflareUrl(
    recordings=recordings, recorder=RealtimeKitClient(DynamoRateLimiter("runs")), clock=now, deadlines=deadlines()
)
copy_segment = CopySegment(
    locate=locate,
    fence=ProcessingFence(recordings=recordings),
    files=R2Bucket(),
    reader=UrlReader(),
    sums=DynamoPartChecksums(),
    progressing=progressing,
)


@task
def handler(payload: Payload) -> Payload:
    return {"copied": copy_segment(payload["work"], payload["plan"], payload["segment"])}
