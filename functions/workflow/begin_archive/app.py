"""Archiving task: store that the move has begun, unless the API has done so."""

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.system import now
from recordings.services.move_to_archive import BeginArchive
from recordings.workflow.task import Payload, task

begin_archive = BeginArchive(recordings=DynamoRecordings(), clock=now)


@task
def handler(payload: Payload) -> Payload:
    return {"begun": begin_archive(payload["work"])}
