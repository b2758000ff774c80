"""Processing task: store that there will be no file, and why."""

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import now
from recordings.domain.lifecycle import Status
from recordings.domain.reconciliation import EXPIRED, LOST, TRACKS
from recordings.observability import count
from recordings.services.transfer.process_recording import MarkFailed
from recordings.workflow.task import Payload, task

mark_failed = MarkFailed(recordings=DynamoRecordings(), clock=now)
FAILURES = {"ProviderRecordingFailed": LOST, "SourceExpired": EXPIRED, "TracksOnly": TRACKS}


@task
def handler(payload: Payload) -> Payload:
    status = mark_failed(payload["work"], FAILURES[payload["error"]])
    # Media that was held becomes the file instead; better news of Cloudflare changes nothing.
    if status in {Status.READY, Status.FAILED}:
        count("RecordingsReady" if status is Status.READY else "RecordingsFailed")
    return {"status": status}
