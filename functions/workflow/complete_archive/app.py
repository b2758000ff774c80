"""Archiving task: make one object of the copied parts."""

from recordings.adapters.archive_store import ArchiveBucket
from recordings.adapters.dynamo import DynamoPartSums
from recordings.services.transfer_file import CompleteTransfer
from recordings.workflow.task import Payload, task

complete_transfer = CompleteTransfer(files=ArchiveBucket(), sums=DynamoPartSums())


@task
def handler(payload: Payload) -> Payload:
    return {**complete_transfer(payload["plan"], checked=payload.get("checked", True))}
