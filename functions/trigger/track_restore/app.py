"""S3 events "Object Restore Completed" and "Object Restore Expired": follow a restored copy."""

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.system import now
from recordings.domain.errors import RecordingNotFound
from recordings.domain.storage_keys import owner_of
from recordings.observability import identify
from recordings.services.recordings.restore_recording import TrackRestore
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

track_restore = TrackRestore(recordings=DynamoRecordings(), vault=ArchiveBucket(), clock=now)


@task
def handler(payload: Payload) -> Payload:
    owner = owner_of("s3", payload["detail"]["object"]["key"])
    if owner is None or owner.recording_id is None:
        # Somebody restored a file of his own that lies in our bucket: no recording has it.
        return {}
    identify(tenant_id=owner.tenant_id, recording_id=owner.recording_id)
    try:
        followed = track_restore(tenant_id=owner.tenant_id, recording_id=owner.recording_id)
    except RecordingNotFound:
        # Purged since the copy was asked for.
        return {}
    return {"recording_id": followed.id, "version": followed.version}
