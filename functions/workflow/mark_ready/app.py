"""Processing task: store that the file is ours and verified."""

from recordings.adapters.budget import CallBudget
from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import now
from recordings.domain.recording import StoredFile
from recordings.observability import count
from recordings.services.process_recording import MarkReady
from recordings.workflow.task import Payload, task

mark_ready = MarkReady(recordings=DynamoRecordings(), recorder=RealtimeKit(CallBudget("runs")), clock=now)


@task
def handler(payload: Payload) -> Payload:
    facts = payload["file"]
    file = StoredFile(
        provider="r2",
        key=payload["key"],
        size_bytes=facts["size"],
        content_type=facts["content_type"],
        crc32=facts["crc32"],
        sha256=facts["sha256"],
        etag=facts.get("etag"),
    )
    count("RecordingsReady")
    return {"status": mark_ready(payload["work"], file, seconds=facts["duration"], partial=payload["partial"])}
