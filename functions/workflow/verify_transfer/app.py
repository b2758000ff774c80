"""Processing task: compare what is stored with what was read."""

from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.media import read_media_facts
from recordings.services.transfer.transfer_file import VerifyTransfer
from recordings.workflow.task import Payload, task

verify_transfer = VerifyTransfer(files=R2Bucket(), read_media_facts=read_media_facts)


@task
def handler(payload: Payload) -> Payload:
    return verify_transfer(payload["plan"], payload["done"])
