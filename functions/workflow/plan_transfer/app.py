"""Processing task: measure the file and plan its transfer."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.processing import PlanTransferInput, PlanTransferOutput
from recordings.workflow.task import task

plan_transfer = wiring.plan_transfer()


@task
def handler(message: PlanTransferInput) -> PlanTransferOutput:
    return PlanTransferOutput(plan=plan_transfer(message.attempt, ranges=message.use_ranges))
