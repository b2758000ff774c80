"""Builds what several functions share.

Each builder imports its adapters, so that a function loads only what it uses.
"""

from typing import TYPE_CHECKING

from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Rooms

if TYPE_CHECKING:
    from recordings.services.rooms.release_meeting import ReleaseMeeting
    from recordings.services.sync.sync_room import SyncRoom


def sync_room(rooms: Rooms, recorder: RecordingProvider) -> "SyncRoom":
    """What brings a room's recordings in line with Cloudflare."""
    from recordings.adapters.aws.executions import ProcessingStateMachine
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.system import deadlines, new_id, now
    from recordings.services.sync.reconcile_recording import ReconcileRecording
    from recordings.services.sync.sync_room import SyncRoom

    recordings = DynamoRecordings()
    reconcile = ReconcileRecording(
        recordings=recordings,
        recorder=recorder,
        workflow=ProcessingStateMachine(),
        files=R2Bucket(),
        clock=now,
        new_id=new_id,
        deadlines=deadlines(),
    )
    return SyncRoom(rooms=rooms, recordings=recordings, recorder=recorder, reconcile=reconcile, clock=now)


def release_meeting(rooms: Rooms, recorder: RecordingProvider) -> "ReleaseMeeting":
    """What a room goes through before it lets its meeting go."""
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
    from recordings.adapters.system import new_id, new_nonce, now
    from recordings.services.rooms.release_meeting import ReleaseMeeting
    from recordings.services.sync.import_recording import ImportRecording

    return ReleaseMeeting(
        rooms=rooms,
        recorder=recorder,
        kept=DynamoRetryQueue(),
        sync=sync_room(rooms, recorder),
        importing=ImportRecording(recordings=DynamoRecordings(), new_id=new_id),
        clock=now,
        new_nonce=new_nonce,
    )
