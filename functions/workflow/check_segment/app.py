"""Processing task: read a segment from Cloudflare a second time, if no checksum or ETag verifies the copy."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.transfer import CheckSegmentInput, CheckSegmentOutput
from recordings.workflow.task import task

check_segment = wiring.check_segment()


@task
def handler(message: CheckSegmentInput) -> CheckSegmentOutput:
    return CheckSegmentOutput(repaired_parts=check_segment(message.attempt, message.plan, message.segment))
