"""Archiving task: copy one segment from R2 to the archive bucket."""

from recordings.observability import count_bytes
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.transfer import CopySegmentInput, CopySegmentOutput
from recordings.workflow.task import task

copy_to_archive = wiring.copy_to_archive(on_copied=lambda copied: count_bytes("BytesArchived", copied))


@task
def handler(message: CopySegmentInput) -> CopySegmentOutput:
    return CopySegmentOutput(copied_parts=copy_to_archive(message.attempt, message.plan, message.segment))
