"""Processing task: read one run of parts from Cloudflare once more, where nothing else proves them right."""

from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.source import UrlReader
from recordings.adapters.system import deadlines, now
from recordings.services.transfer.process_recording import CloudflareUrl, ProcessingFence
from recordings.services.transfer.transfer_file import CheckSegment
from recordings.workflow.task import Payload, task

recordings = DynamoRecordings()
locate = CloudflareUrl(
    recordings=recordings, recorder=RealtimeKitClient(DynamoRateLimiter("runs")), clock=now, deadlines=deadlines()
)
check_segment = CheckSegment(
    locate=locate,
    fence=ProcessingFence(recordings=recordings),
    files=R2Bucket(),
    reader=UrlReader(),
    sums=DynamoPartChecksums(),
)


@task
def handler(payload: Payload) -> Payload:
    return {"mended": check_segment(payload["work"], payload["plan"], payload["segment"])}
