"""Sync task: acquire the lease, unless another sync holds it."""

from recordings.wiring import sync as wiring
from recordings.workflow.messages.sync import BeginSyncInput, BeginSyncOutput
from recordings.workflow.task import task_of

begin_sync = wiring.begin_sync()


@task_of("sync")
def handler(message: BeginSyncInput) -> BeginSyncOutput:
    return BeginSyncOutput(sync=begin_sync(nonce=message.nonce))
