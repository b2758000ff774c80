"""Processing task: make one object of the copied parts."""

from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.services.transfer.process_recording import ProcessingFence
from recordings.services.transfer.transfer_file import CompleteTransfer
from recordings.workflow.task import Payload, task

complete_transfer = CompleteTransfer(
    files=R2Bucket(), sums=DynamoPartChecksums(), fence=ProcessingFence(recordings=DynamoRecordings())
)


@task
def handler(payload: Payload) -> Payload:
    # Executions of an older release pass neither `work` nor `checked`.
    done = complete_transfer(payload["plan"], work=payload.get("work"), checked=payload.get("checked", True))
    return {**done}
