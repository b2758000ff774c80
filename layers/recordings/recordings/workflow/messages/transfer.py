"""Messages of the tasks that copy a file. Processing and archiving use the same ones."""

from recordings.services.transfer.transfer_file import Done as TransferResult
from recordings.services.transfer.transfer_file import Plan as TransferPlan
from recordings.workflow.messages.base import AttemptInput, Payload, TaskOutput


class CopySegmentInput(AttemptInput):
    plan: TransferPlan
    segment: list[int]


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
        keys: Payload = payload["result"]
        return keys
