"""Archiving task: measure the file in R2 and plan its move."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.archiving import PlanArchiveInput, PlanArchiveOutput
from recordings.workflow.task import task

plan_archive = wiring.plan_archive()


@task
def handler(message: PlanArchiveInput) -> PlanArchiveOutput:
    return PlanArchiveOutput(plan=plan_archive(message.attempt))
