"""Processing task: copy one segment from Cloudflare to R2."""

from recordings.observability import count_bytes
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.transfer import CopySegmentInput, CopySegmentOutput
from recordings.workflow.task import task

copy_segment = wiring.copy_segment(on_copied=lambda copied: count_bytes("BytesCopied", copied))


@task
def handler(message: CopySegmentInput) -> CopySegmentOutput:
    return CopySegmentOutput(copied_parts=copy_segment(message.attempt, message.plan, message.segment))
