"""Processing task: ask Cloudflare whether the file is uploaded, and store the task token if it is not."""

from datetime import timedelta

from recordings.wiring import workflow as wiring
from recordings.workflow.messages.processing import CheckUploadInput, CheckUploadOutput
from recordings.workflow.task import waiting_task

check_upload = wiring.check_upload()


@waiting_task(wiring.task_tokens())
def handler(message: CheckUploadInput) -> CheckUploadOutput | None:
    wait = timedelta(seconds=message.wait_seconds)
    found = check_upload(message.attempt, token=message.token, wait=wait)
    return CheckUploadOutput(state=found.state, partial=found.partial) if found is not None else None
