"""Processing task: drop an unfinished upload, so that no parts are paid for."""

from recordings.adapters.storage.bucket import R2Bucket
from recordings.workflow.task import Payload, task

files = R2Bucket()


@task
def handler(payload: Payload) -> Payload:
    plan = payload["plan"]
    if plan and plan["upload_id"]:
        files.abort(plan["key"], plan["upload_id"])
    return {}
