"""Processing task: decide whether the verified file becomes the recording's, and store that."""

from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import attempt_limits, now
from recordings.domain.lifecycle import Status
from recordings.observability import count, count_bytes
from recordings.services.transfer.admit_file import AdmitFile, VerifiedFile
from recordings.workflow.task import Payload, task

admit_file = AdmitFile(
    recordings=DynamoRecordings(),
    recorder=RealtimeKitClient(DynamoRateLimiter("runs")),
    files=R2Bucket(),
    clock=now,
    limits=attempt_limits(),
)
METRICS = {Status.READY: "RecordingsReady", Status.PROCESSING: "FilesRefused", Status.FAILED: "RecordingsFailed"}


@task
def handler(payload: Payload) -> Payload:
    found = VerifiedFile.from_facts(payload["key"], payload["file"])
    status = admit_file(payload["work"], found, errored=payload["partial"])
    if status in METRICS:
        count(METRICS[status])
    if status is Status.READY:
        count_bytes("BytesStored", found.file.size_bytes)
    return {"status": status}
