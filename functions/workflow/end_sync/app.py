"""Sync task: release the lease, and move the watermark after a successful sync."""

from datetime import datetime

from recordings.observability import count
from recordings.wiring import sync as wiring
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

end_sync = wiring.end_sync()


@task
def handler(payload: Payload) -> Payload:
    newest, full_at = payload["newest"], payload["full_at"]
    end_sync(
        nonce=payload["nonce"],
        watermark=datetime.fromisoformat(newest) if newest else None,
        full_at=datetime.fromisoformat(full_at) if full_at else None,
    )
    if not payload.get("gave_up", False):
        count("SyncsEnded")
    return {}
