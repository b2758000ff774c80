"""Processing task: make one object of the copied parts."""

from recordings.adapters.object_store import R2
from recordings.services.process_recording import CompleteTransfer
from recordings.workflow.task import Payload, task

complete_transfer = CompleteTransfer(files=R2())


@task
def handler(payload: Payload) -> Payload:
    return {"etag": complete_transfer(payload["plan"])}
