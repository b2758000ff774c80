"""Processing task: copy one run of parts from Cloudflare to R2."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.dynamodb.part_checksums import DynamoPartSums
from recordings.adapters.dynamodb.rate_limit import CallBudget
from recordings.adapters.object_store import R2
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import deadlines, now
from recordings.adapters.transfer import UrlReader
from recordings.observability import count_bytes
from recordings.services.process_recording import CloudflareUrl, NoteCopied, ProcessingFence
from recordings.services.transfer_file import CopySegment, Work
from recordings.workflow.task import Payload, task

recordings = DynamoRecordings()
note = NoteCopied(recordings=recordings)


def progressing(work: Work, copied: int) -> None:
    note(work, copied)
    count_bytes("BytesCopied", copied)


locate = CloudflareUrl(
    recordings=recordings, recorder=RealtimeKit(CallBudget("runs")), clock=now, deadlines=deadlines()
)
copy_segment = CopySegment(
    locate=locate,
    fence=ProcessingFence(recordings=recordings),
    files=R2(),
    reader=UrlReader(),
    sums=DynamoPartSums(),
    progressing=progressing,
)


@task
def handler(payload: Payload) -> Payload:
    return {"copied": copy_segment(payload["work"], payload["plan"], payload["segment"])}
