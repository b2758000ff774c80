"""Archiving task: see that the move was decided."""

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.services.transfer.move_to_archive import BeginArchive
from recordings.workflow.task import Payload, task

begin_archive = BeginArchive(recordings=DynamoRecordings())


@task
def handler(payload: Payload) -> Payload:
    return {"begun": begin_archive(payload["work"])}
