"""Sync task: give the run back, and move the watermark when all of it is safe."""

from datetime import datetime

from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.observability import count
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

state = DynamoSyncLease()


@task
def handler(payload: Payload) -> Payload:
    newest, full_at = payload["newest"], payload["full_at"]
    state.end(
        nonce=payload["nonce"],
        watermark=datetime.fromisoformat(newest) if newest else None,
        full_at=datetime.fromisoformat(full_at) if full_at else None,
    )
    if not payload.get("gave_up", False):
        count("SyncsEnded")
    return {}
