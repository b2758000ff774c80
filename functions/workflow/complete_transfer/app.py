"""Processing task: make one object of the copied parts."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.dynamodb.part_checksums import DynamoPartSums
from recordings.adapters.object_store import R2
from recordings.services.process_recording import ProcessingFence
from recordings.services.transfer_file import CompleteTransfer
from recordings.workflow.task import Payload, task

complete_transfer = CompleteTransfer(
    files=R2(), sums=DynamoPartSums(), fence=ProcessingFence(recordings=DynamoRecordings())
)


@task
def handler(payload: Payload) -> Payload:
    # Executions of an older release pass neither `work` nor `checked`.
    done = complete_transfer(payload["plan"], work=payload.get("work"), checked=payload.get("checked", True))
    return {**done}
