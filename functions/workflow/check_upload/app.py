"""Processing task: ask whether Cloudflare has finished the file, else keep the token that a webhook wakes."""

import os
from datetime import timedelta

from recordings.adapters.aws.executions import answer_task, fail_task
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import deadlines, now
from recordings.observability import logger
from recordings.services.transfer.process_recording import CheckUpload
from recordings.workflow.task import Payload, named, task

check_upload = CheckUpload(
    recordings=DynamoRecordings(),
    recorder=RealtimeKitClient(DynamoRateLimiter("runs")),
    files=R2Bucket(),
    clock=now,
    stall_after=timedelta(seconds=int(os.environ["STALL_AFTER_SECONDS"])),
    deadlines=deadlines(),
)


@task
def handler(payload: Payload) -> Payload:
    token = payload["token"]
    try:
        answer = check_upload(payload["work"], token=token, wait=timedelta(seconds=payload["wait_seconds"]))
    except Exception as error:
        # A function that waits by token fails by token: the run hears of it now and not after the time-out.
        told = named(error)
        logger.info("refused", code=type(told).__name__)
        fail_task(token, type(told).__name__, str(told)[:256])
        return {}
    if answer is not None:
        answer_task(token, answer)
    return {}
