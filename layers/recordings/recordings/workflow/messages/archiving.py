"""Messages of the archiving state machine."""

from typing import Annotated

from recordings.domain.lifecycle import Status
from recordings.domain.transfer import TransferPlan
from recordings.workflow.messages.base import AttemptInput, Payload, ReceivedResult, TaskOutput, renamed


class BeginArchiveInput(AttemptInput):
    pass


class BeginArchiveOutput(TaskOutput):
    """Whether the stored decision asks for this move. If not, the execution ends."""

    decided: bool

    def last_release_keys(self, payload: Payload) -> Payload:
        return {"begun": payload["decided"]}


class PlanArchiveInput(AttemptInput):
    pass


class PlanArchiveOutput(TaskOutput):
    # None if the file has moved already, or this attempt is over.
    plan: TransferPlan | None


class FinishArchiveInput(AttemptInput):
    # Both are None if the file has moved already.
    plan: TransferPlan | None
    result: Annotated[ReceivedResult | None, renamed("result", "done")]


class AbandonArchiveInput(AttemptInput):
    pass


class AbandonArchiveOutput(TaskOutput):
    """The status of the recording after the task."""

    status: Status
