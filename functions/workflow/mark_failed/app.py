"""Processing task: store that there will be no file, and why."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.system import now
from recordings.domain.recording import Failure
from recordings.services.process_recording import MarkFailed
from recordings.workflow.task import Payload, task

mark_failed = MarkFailed(recordings=DynamoRecordings(), clock=now)
FAILURES = {
    "CaptureFailed": Failure("capture_failed", "Cloudflare lost the recording; there is no file of it."),
    "SourceExpired": Failure("file_expired", "Cloudflare's copy expired before it could be fetched."),
}


@task
def handler(payload: Payload) -> Payload:
    return {"status": mark_failed(payload["work"], FAILURES[payload["error"]])}
