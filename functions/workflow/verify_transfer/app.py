"""Processing task: compare what is stored with what was read."""

from recordings.adapters.media import read_media_facts
from recordings.adapters.object_store import R2
from recordings.services.transfer_file import VerifyTransfer
from recordings.workflow.task import Payload, task

verify_transfer = VerifyTransfer(files=R2(), read_media_facts=read_media_facts)


@task
def handler(payload: Payload) -> Payload:
    return verify_transfer(payload["plan"], payload["done"])
