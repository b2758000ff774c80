"""Archiving task: read a segment from R2 a second time, if no checksum or ETag verifies the copy."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.transfer import CheckSegmentInput, CheckSegmentOutput
from recordings.workflow.task import task

check_archive = wiring.check_archive()


@task
def handler(message: CheckSegmentInput) -> CheckSegmentOutput:
    return CheckSegmentOutput(repaired_parts=check_archive(message.attempt, message.plan, message.segment))
