"""Archiving task: verify the copy, point the recording to it, then delete the file in R2 if no URL needs it."""

from recordings.observability import count
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.archiving import FinishArchiveInput
from recordings.workflow.messages.base import NoOutput
from recordings.workflow.task import task

finish_archive = wiring.finish_archive(on_stored=lambda recording: count("RecordingsArchived"))


@task
def handler(message: FinishArchiveInput) -> NoOutput:
    finish_archive(message.attempt, message.plan, message.result)
    return NoOutput()
