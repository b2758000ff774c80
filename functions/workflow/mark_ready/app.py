"""Processing task: store that the file is ours and verified."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import now
from recordings.services.process_recording import MarkReady
from recordings.workflow.task import Payload, task

mark_ready = MarkReady(recordings=DynamoRecordings(), recorder=RealtimeKit(), clock=now)


@task
def handler(payload: Payload) -> Payload:
    file = payload["file"]
    status = mark_ready(
        payload["work"],
        key=payload["key"],
        size=file["size"],
        content_type=file["content_type"],
        checksum=file["checksum"],
        seconds=file["duration"],
        partial=payload["partial"],
    )
    return {"status": status}
