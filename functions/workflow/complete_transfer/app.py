"""Processing task: make one object of the copied parts."""

from recordings.adapters.dynamo import DynamoPartSums
from recordings.adapters.object_store import R2
from recordings.services.transfer_file import CompleteTransfer
from recordings.workflow.task import Payload, task

complete_transfer = CompleteTransfer(files=R2(), sums=DynamoPartSums())


@task
def handler(payload: Payload) -> Payload:
    return {**complete_transfer(payload["plan"], checked=payload.get("checked", True))}
