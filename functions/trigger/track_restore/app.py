"""S3 events "Object Restore Completed" and "Object Restore Expired": update the recording of a restored file."""

from recordings.domain.errors import RecordingNotFound
from recordings.domain.storage_keys import owner_of
from recordings.observability import identify
from recordings.wiring import trigger as wiring
from recordings.workflow.messages.restore import RestoreEvent, TrackRestoreOutput
from recordings.workflow.task import task

track_restore = wiring.track_restore()


@task
def handler(event: RestoreEvent) -> TrackRestoreOutput:
    owner = owner_of("s3", event.key)
    if owner is None or owner.recording_id is None:
        # Someone restored a file in our bucket that belongs to no recording.
        return TrackRestoreOutput()
    identify(tenant_id=owner.tenant_id, recording_id=owner.recording_id)
    try:
        recording = track_restore(tenant_id=owner.tenant_id, recording_id=owner.recording_id)
    except RecordingNotFound:
        # Purged since the restore was requested.
        return TrackRestoreOutput()
    return TrackRestoreOutput(recording_id=recording.id, version=recording.version)
