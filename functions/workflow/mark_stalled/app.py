"""Processing task: flag a recording whose attempt has ended without a file, and delete what the attempt wrote."""

from recordings.observability import count
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.base import NoOutput
from recordings.workflow.messages.processing import MarkStalledInput
from recordings.workflow.task import task

mark_stalled = wiring.mark_stalled(on_stored=lambda recording: count("RecordingsStalled"))


@task
def handler(message: MarkStalledInput) -> NoOutput:
    mark_stalled(message.attempt, failed=message.error != "")
    return NoOutput()
