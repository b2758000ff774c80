"""S3 events "Object Restore Completed" and "Object Restore Expired": follow a restored copy."""

from urllib.parse import unquote

from recordings.adapters.archive_store import ArchiveBucket
from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.system import now
from recordings.domain.errors import RecordingNotFound
from recordings.services.restore_recording import TrackRestore
from recordings.workflow.task import Payload, task

track_restore = TrackRestore(recordings=DynamoRecordings(), vault=ArchiveBucket(), clock=now)


@task
def handler(payload: Payload) -> Payload:
    # recordings/<tenant>/<room>/<recording>/<attempt>/recording.mp4
    _, tenant, _, recording, *_ = payload["detail"]["object"]["key"].split("/")
    try:
        followed = track_restore(tenant_id=unquote(tenant), recording_id=unquote(recording))
    except RecordingNotFound:
        # Purged since the copy was asked for.
        return {}
    return {"recording_id": followed.id, "version": followed.version}
