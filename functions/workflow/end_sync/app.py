"""Sync task: release the lease, and move the watermark after a successful sync."""

from recordings.observability import count
from recordings.wiring import sync as wiring
from recordings.workflow.messages.base import NoOutput
from recordings.workflow.messages.sync import EndSyncInput
from recordings.workflow.task import task_of

end_sync = wiring.end_sync()


@task_of("sync")
def handler(message: EndSyncInput) -> NoOutput:
    end_sync(nonce=message.nonce, watermark=message.watermark, full_at=message.full_at)
    if not message.failed:
        count("SyncsEnded")
    return NoOutput()
