"""Processing task: abort an unfinished upload, because its parts cost money."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.base import NoOutput
from recordings.workflow.messages.processing import AbortTransferInput
from recordings.workflow.task import task

uploads = wiring.abort_transfer()


@task
def handler(message: AbortTransferInput) -> NoOutput:
    plan = message.plan
    if plan is not None and plan["upload_id"]:
        uploads.abort(plan["key"], plan["upload_id"])
    return NoOutput()
