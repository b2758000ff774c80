"""Processing task: read one run of parts from Cloudflare once more, where nothing else proves them right."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.dynamodb.part_checksums import DynamoPartSums
from recordings.adapters.dynamodb.rate_limit import CallBudget
from recordings.adapters.object_store import R2
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import deadlines, now
from recordings.adapters.transfer import UrlReader
from recordings.services.process_recording import CloudflareUrl, ProcessingFence
from recordings.services.transfer_file import CheckSegment
from recordings.workflow.task import Payload, task

recordings = DynamoRecordings()
locate = CloudflareUrl(
    recordings=recordings, recorder=RealtimeKit(CallBudget("runs")), clock=now, deadlines=deadlines()
)
check_segment = CheckSegment(
    locate=locate,
    fence=ProcessingFence(recordings=recordings),
    files=R2(),
    reader=UrlReader(),
    sums=DynamoPartSums(),
)


@task
def handler(payload: Payload) -> Payload:
    return {"mended": check_segment(payload["work"], payload["plan"], payload["segment"])}
