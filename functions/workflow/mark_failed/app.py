"""Processing task: store that there will be no file, and why."""

from recordings.domain.recording import Recording
from recordings.observability import count
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.processing import MarkFailedInput, MarkFailedOutput
from recordings.workflow.task import task


def count_recording(recording: Recording) -> None:
    # A file that an earlier attempt held becomes the recording's file instead.
    count("RecordingsReady" if recording.file is not None else "RecordingsFailed")


mark_failed = wiring.mark_failed(on_stored=count_recording)


@task
def handler(message: MarkFailedInput) -> MarkFailedOutput:
    return MarkFailedOutput(status=mark_failed(message.attempt, message.failure))
