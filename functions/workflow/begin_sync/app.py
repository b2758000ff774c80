"""Sync task: acquire the lease, unless another sync holds it."""

from recordings.wiring import sync as wiring
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

begin_sync = wiring.begin_sync()


@task
def handler(payload: Payload) -> Payload:
    start = begin_sync(nonce=payload["nonce"])
    if start is None:
        return {"begun": False}
    window = start.window
    watermark, last = (at.isoformat() if at else None for at in (window.watermark, window.previous_started_at))
    return {
        "begun": True,
        "nonce": start.nonce,
        "at": start.started_at.isoformat(),
        "watermark": watermark,
        "full": window.full,
        "last": last,
    }
