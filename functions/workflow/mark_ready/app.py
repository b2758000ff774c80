"""Processing task: decide whether the verified file becomes the recording's file, and store the decision."""

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.observability import count, count_bytes
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.processing import MarkReadyInput, MarkReadyOutput
from recordings.workflow.task import task

METRICS = {Status.READY: "RecordingsReady", Status.PROCESSING: "FilesRefused", Status.FAILED: "RecordingsFailed"}


def count_decision(recording: Recording) -> None:
    count(METRICS[recording.status])
    if recording.status is Status.READY and recording.file is not None:
        count_bytes("BytesStored", recording.file.size_bytes)


mark_ready = wiring.mark_ready(on_stored=count_decision)


@task
def handler(message: MarkReadyInput) -> MarkReadyOutput:
    return MarkReadyOutput(status=mark_ready(message.attempt, message.file, key=message.key, errored=message.partial))
