"""Processing task: drop an unfinished upload, so that no parts are paid for."""

from recordings.adapters.object_store import R2
from recordings.workflow.task import Payload, task

files = R2()


@task
def handler(payload: Payload) -> Payload:
    plan = payload["plan"]
    if plan and plan["upload_id"]:
        files.abort(plan["key"], plan["upload_id"])
    return {}
