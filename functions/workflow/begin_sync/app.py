"""Sync task: take the run, unless another one is at work."""

from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.adapters.system import now
from recordings.services.sync.sync_all import LEASE
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

state = DynamoSyncLease()


@task
def handler(payload: Payload) -> Payload:
    nonce, began = payload["nonce"], now()
    begun = state.begin(nonce=nonce, now=began, until=began + LEASE)
    if begun is None:
        return {"begun": False}
    watermark, last = (at.isoformat() if at else None for at in (begun.watermark, begun.last))
    return {
        "begun": True,
        "nonce": nonce,
        "at": began.isoformat(),
        "watermark": watermark,
        "full": begun.full,
        "last": last,
    }
