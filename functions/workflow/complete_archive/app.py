"""Archiving task: make one object of the copied parts."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.transfer import CompleteTransferInput, CompleteTransferOutput
from recordings.workflow.task import task

complete_archive = wiring.complete_archive()


@task
def handler(message: CompleteTransferInput) -> CompleteTransferOutput:
    result = complete_archive(message.attempt, message.plan, checked=message.checked)
    return CompleteTransferOutput(result=result)
