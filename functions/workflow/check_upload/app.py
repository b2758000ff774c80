"""Processing task: ask whether Cloudflare has finished the file, else keep the token that a webhook wakes."""

import os
from datetime import timedelta

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.step_functions import answer_task, fail_task
from recordings.adapters.system import now
from recordings.domain.errors import CaptureFailed
from recordings.services.process_recording import CheckUpload
from recordings.workflow.task import Payload, task

check_upload = CheckUpload(
    recordings=DynamoRecordings(),
    recorder=RealtimeKit(),
    clock=now,
    stall_after=timedelta(seconds=int(os.environ["STALL_AFTER_SECONDS"])),
)


@task
def handler(payload: Payload) -> Payload:
    token = payload["token"]
    try:
        answer = check_upload(payload["work"], token=token, wait=timedelta(seconds=payload["wait_seconds"]))
    except CaptureFailed as error:
        fail_task(token, "CaptureFailed", str(error))
        return {}
    if answer is not None:
        answer_task(token, answer)
    return {}
