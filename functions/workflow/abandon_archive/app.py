"""Archiving task: return a recording to ready whose move to the archive failed for good."""

from recordings.observability import count
from recordings.wiring import workflow as wiring
from recordings.workflow.messages.archiving import AbandonArchiveInput, AbandonArchiveOutput
from recordings.workflow.task import task

abandon_archive = wiring.abandon_archive(on_stored=lambda recording: count("ArchivesAbandoned"))


@task
def handler(message: AbandonArchiveInput) -> AbandonArchiveOutput:
    return AbandonArchiveOutput(status=abandon_archive(message.attempt))
