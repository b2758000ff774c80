"""DynamoDB stream: remove the file of a recording whose retention after deletion is over."""

from recordings.adapters.archive_store import ArchiveBucket
from recordings.adapters.dynamo import recording_of
from recordings.adapters.object_store import R2
from recordings.observability import logger
from recordings.workflow.task import Payload, task

stores = {"r2": R2(), "s3": ArchiveBucket()}


@task
def handler(payload: Payload) -> Payload:
    for record in payload["Records"]:
        recording = recording_of(record["dynamodb"]["OldImage"])
        if recording is None or recording.deleted_at is None or recording.file is None:
            continue
        try:
            stores[recording.file.provider].delete(recording.file.key)
        except Exception:
            logger.exception("not purged", recording_id=recording.id)
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
        logger.info("purged", recording_id=recording.id)
    return {"batchItemFailures": []}
