"""Processing task: flag a recording whose run gave up."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.observability import count
from recordings.services.process_recording import MarkStalled
from recordings.workflow.task import Payload, task

mark_stalled = MarkStalled(recordings=DynamoRecordings())


@task
def handler(payload: Payload) -> Payload:
    mark_stalled(payload["work"])
    count("RecordingsStalled")
    return {}
