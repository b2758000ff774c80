"""Builds what several functions share.

Each builder imports its adapters, so that a function loads only what it uses.
"""

from typing import TYPE_CHECKING

from recordings.ports import Recorder, Rooms

if TYPE_CHECKING:
    from recordings.services.release_meeting import ReleaseMeeting
    from recordings.services.sync_room import SyncRoom


def sync_room(rooms: Rooms, recorder: Recorder) -> "SyncRoom":
    """What brings a room's recordings in line with Cloudflare."""
    from recordings.adapters.dynamo import DynamoRecordings
    from recordings.adapters.object_store import R2
    from recordings.adapters.step_functions import ProcessingRuns
    from recordings.adapters.system import deadlines, new_id, now
    from recordings.services.reconcile_recording import ReconcileRecording
    from recordings.services.sync_room import SyncRoom

    recordings = DynamoRecordings()
    reconcile = ReconcileRecording(
        recordings=recordings,
        recorder=recorder,
        workflow=ProcessingRuns(),
        files=R2(),
        clock=now,
        new_id=new_id,
        deadlines=deadlines(),
    )
    return SyncRoom(rooms=rooms, recordings=recordings, recorder=recorder, reconcile=reconcile, clock=now)


def release_meeting(rooms: Rooms, recorder: Recorder) -> "ReleaseMeeting":
    """What a room goes through before it lets its meeting go."""
    from recordings.adapters.dynamo import DynamoRecordings
    from recordings.adapters.dynamodb.retry_queue import DynamoKeptLooks
    from recordings.adapters.system import new_id, new_nonce, now
    from recordings.services.import_capture import ImportCapture
    from recordings.services.release_meeting import ReleaseMeeting

    return ReleaseMeeting(
        rooms=rooms,
        recorder=recorder,
        kept=DynamoKeptLooks(),
        sync=sync_room(rooms, recorder),
        importing=ImportCapture(recordings=DynamoRecordings(), new_id=new_id),
        clock=now,
        new_nonce=new_nonce,
    )
