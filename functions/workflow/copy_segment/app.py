"""Processing task: copy one run of parts from Cloudflare to R2."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.object_store import R2
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import now
from recordings.adapters.transfer import UrlReader
from recordings.services.process_recording import CopySegment
from recordings.workflow.task import Payload, task

copy_segment = CopySegment(
    recordings=DynamoRecordings(), recorder=RealtimeKit(), files=R2(), reader=UrlReader(), clock=now
)


@task
def handler(payload: Payload) -> Payload:
    return {"copied": copy_segment(payload["work"], payload["plan"], payload["segment"])}
