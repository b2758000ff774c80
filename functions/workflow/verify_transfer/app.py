"""Processing task: compare the stored file with what was read, and read its media facts."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.processing import VerifyTransferInput, VerifyTransferOutput
from recordings.workflow.task import task

verify_transfer = wiring.verify_transfer()


@task
def handler(message: VerifyTransferInput) -> VerifyTransferOutput:
    return VerifyTransferOutput(file=verify_transfer(message.plan, message.result))
