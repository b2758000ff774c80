"""Messages of the tasks that copy a file. Processing and archiving use the same ones."""

from recordings.domain.transfer import Segment, TransferPlan, TransferResult
from recordings.workflow.messages.base import AttemptInput, Payload, TaskOutput


class CopySegmentInput(AttemptInput):
    plan: TransferPlan
    segment: Segment


class CopySegmentOutput(TaskOutput):
    """How many parts this invocation copied. A repeated task copies only what is missing."""

    copied_parts: int


class CheckSegmentInput(CopySegmentInput):
    pass


class CheckSegmentOutput(TaskOutput):
    """How many parts were wrong and have been repaired."""

    repaired_parts: int


class CompleteTransferInput(AttemptInput):
    plan: TransferPlan
    # Whether the segments have been read a second time.
    checked: bool


class CompleteTransferOutput(TaskOutput):
    result: TransferResult

    def last_release_keys(self, payload: Payload) -> Payload:
        result: Payload = payload["result"]
        return result | {"proven": result["verified"]}
