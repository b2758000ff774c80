"""Archiving task: make one object of the copied parts."""

from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.services.transfer.move_to_archive import ArchiveFence
from recordings.services.transfer.transfer_file import CompleteTransfer
from recordings.workflow.task import Payload, task

complete_transfer = CompleteTransfer(
    files=ArchiveBucket(), sums=DynamoPartChecksums(), fence=ArchiveFence(recordings=DynamoRecordings())
)


@task
def handler(payload: Payload) -> Payload:
    # Executions of an older release pass neither `work` nor `checked`.
    done = complete_transfer(payload["plan"], work=payload.get("work"), checked=payload.get("checked", True))
    return {**done}
