"""Processing task: abort an unfinished upload, because its parts cost money."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.base import NoOutput
from recordings.workflow.messages.processing import AbortTransferInput
from recordings.workflow.task import task

abort_transfer = wiring.abort_transfer()


@task
def handler(message: AbortTransferInput) -> NoOutput:
    abort_transfer(message.plan)
    return NoOutput()
