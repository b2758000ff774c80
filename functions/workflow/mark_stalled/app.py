"""Processing task: flag a recording whose attempt gave up, and clear away what it wrote."""

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import attempt_limits, now
from recordings.observability import count
from recordings.services.transfer.process_recording import MarkStalled
from recordings.workflow.task import Payload, task

mark_stalled = MarkStalled(recordings=DynamoRecordings(), files=R2Bucket(), clock=now, limits=attempt_limits())


@task
def handler(payload: Payload) -> Payload:
    # Executions of an older release do not pass the error: then it is taken for one.
    mark_stalled(payload["work"], failed=payload.get("error") != "")
    count("RecordingsStalled")
    return {}
