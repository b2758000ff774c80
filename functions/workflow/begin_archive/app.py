"""Archiving task: check that the stored decision asks for this move."""

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.archiving import BeginArchiveInput, BeginArchiveOutput
from recordings.workflow.task import task

begin_archive = wiring.begin_archive()


@task
def handler(message: BeginArchiveInput) -> BeginArchiveOutput:
    return BeginArchiveOutput(decided=begin_archive(message.attempt))
