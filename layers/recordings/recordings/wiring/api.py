"""Builds the services of the functions in functions/api."""

from typing import TYPE_CHECKING, Any

from recordings import settings
from recordings.wiring.shared import CALL_CLOUDFLARE, RECONCILE, USE_FILES, provider, reconcile_recording

if TYPE_CHECKING:
    from recordings.adapters.cloudflare.client import DirectDelivery
    from recordings.http.idempotency import Idempotency
    from recordings.services.recordings.archive_recording import ArchiveRecording
    from recordings.services.recordings.delete_recording import DeleteRecording, UndeleteRecording
    from recordings.services.recordings.download_recording import DownloadRecording
    from recordings.services.recordings.get_recording import GetRecording
    from recordings.services.recordings.list_access import ListAccess
    from recordings.services.recordings.list_recordings import ListRecordings
    from recordings.services.recordings.recover_recording import RecoverRecording
    from recordings.services.recordings.restore_recording import RestoreRecording
    from recordings.services.recordings.start_recording import StartRecording
    from recordings.services.recordings.stop_recording import StopRecording
    from recordings.services.rooms.delete_room import DeleteRoom
    from recordings.services.rooms.get_room import GetRoom
    from recordings.services.rooms.list_rooms import ListRooms
    from recordings.services.rooms.put_room import PutRoom
    from recordings.services.rooms.release_meeting import ReleaseMeeting
    from recordings.services.sync.sync_recordings import SyncRecordings


def _require(*groups: settings.Group[Any]) -> None:
    """Check the settings of an endpoint: its own, and those that every endpoint reads."""
    settings.require(settings.TABLE, settings.TOKENS, *groups)


def idempotency() -> "Idempotency":
    """Build the store of responses for repeated requests."""
    from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
    from recordings.adapters.system import now
    from recordings.http.idempotency import Idempotency

    return Idempotency(DynamoIdempotencyKeys(), now)


# ---------------------------------------------------------------- rooms


def put_room() -> "PutRoom":
    _require(*RECONCILE)
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.system import new_nonce, now
    from recordings.services.rooms.put_room import PutRoom

    return PutRoom(
        rooms=DynamoRooms(), provider=provider(), release_meeting=_release_meeting, clock=now, new_nonce=new_nonce
    )


def get_room() -> "GetRoom":
    _require()
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.services.rooms.get_room import GetRoom

    return GetRoom(rooms=DynamoRooms())


def list_rooms() -> "ListRooms":
    _require()
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.services.rooms.list_rooms import ListRooms

    return ListRooms(rooms=DynamoRooms())


def delete_room() -> "DeleteRoom":
    _require(*RECONCILE)
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.services.rooms.delete_room import DeleteRoom

    return DeleteRoom(rooms=DynamoRooms(), release_meeting=_release_meeting())


def _release_meeting() -> "ReleaseMeeting":
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.system import new_id, new_nonce, now
    from recordings.services.rooms.release_meeting import ReleaseMeeting
    from recordings.services.sync.import_recording import ImportRecording

    return ReleaseMeeting(
        rooms=DynamoRooms(),
        provider=provider(),
        retry_queue=DynamoRetryQueue(),
        sync_recordings=_sync_recordings(),
        import_recording=ImportRecording(recordings=DynamoRecordings(), new_id=new_id),
        clock=now,
        new_nonce=new_nonce,
    )


# ---------------------------------------------------------------- a room's recordings


def start_recording() -> "StartRecording":
    _require(*CALL_CLOUDFLARE, *USE_FILES, settings.DELIVERY)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.system import new_id, new_nonce, now
    from recordings.services.recordings.start_recording import StartRecording

    return StartRecording(
        rooms=DynamoRooms(),
        recordings=DynamoRecordings(),
        provider=provider(delivery=_direct_delivery()),
        clock=now,
        new_id=new_id,
        new_nonce=new_nonce,
    )


def _direct_delivery() -> "DirectDelivery | None":
    from recordings.adapters.aws.secrets import Secret
    from recordings.adapters.cloudflare.client import DirectDelivery
    from recordings.adapters.storage.r2_keys import R2Credentials

    r2 = settings.R2_BUCKET()
    credentials = R2Credentials(Secret(r2.secret_arn, ttl=settings.SECRETS().ttl))
    return DirectDelivery(r2.bucket, credentials.read) if settings.DELIVERY().is_direct else None


def stop_recording() -> "StopRecording":
    _require(*CALL_CLOUDFLARE, settings.PROCESSING)
    from recordings.adapters.aws.executions import ProcessingStateMachine, prepare_client
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.system import new_id, now
    from recordings.services.recordings.stop_recording import StopRecording

    prepare_client()
    return StopRecording(
        rooms=DynamoRooms(),
        recordings=DynamoRecordings(),
        provider=provider("stop"),
        executions=ProcessingStateMachine(),
        clock=now,
        new_id=new_id,
    )


def sync_recordings() -> "SyncRecordings":
    _require(*RECONCILE)
    return _sync_recordings()


def _sync_recordings() -> "SyncRecordings":
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.system import now
    from recordings.services.sync.sync_recordings import SyncRecordings

    return SyncRecordings(
        rooms=DynamoRooms(),
        recordings=DynamoRecordings(),
        provider=provider(),
        reconcile=reconcile_recording("interactive"),
        clock=now,
    )


# ---------------------------------------------------------------- recordings


def list_recordings() -> "ListRecordings":
    _require()
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.services.recordings.list_recordings import ListRecordings

    return ListRecordings(recordings=DynamoRecordings())


def get_recording() -> "GetRecording":
    _require()
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.services.recordings.get_recording import GetRecording

    return GetRecording(recordings=DynamoRecordings(), rooms=DynamoRooms())


def download_recording() -> "DownloadRecording":
    _require(*USE_FILES, settings.ARCHIVE, settings.ARCHIVE_DOWNLOAD, settings.ACCESS_LOG)
    from recordings.adapters.dynamodb.access_log import DynamoAccessLog
    from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.recordings.download_recording import DownloadRecording

    return DownloadRecording(
        recordings=DynamoRecordings(),
        store=R2Bucket(),
        archive=ArchiveBucket(download_role_arn=settings.ARCHIVE_DOWNLOAD().role_arn),
        links=DynamoDownloadLinks(),
        access_log=DynamoAccessLog(kept=settings.ACCESS_LOG().kept),
        clock=now,
    )


def list_access() -> "ListAccess":
    _require(settings.ACCESS_LOG)
    from recordings.adapters.dynamodb.access_log import DynamoAccessLog
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.services.recordings.list_access import ListAccess

    return ListAccess(recordings=DynamoRecordings(), access_log=DynamoAccessLog(kept=settings.ACCESS_LOG().kept))


def archive_recording() -> "ArchiveRecording":
    _require(settings.ARCHIVING)
    from recordings.adapters.aws.executions import ArchivingStateMachine, prepare_client
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now
    from recordings.services.recordings.archive_recording import ArchiveRecording

    prepare_client()
    return ArchiveRecording(recordings=DynamoRecordings(), executions=ArchivingStateMachine(), clock=now)


def restore_recording() -> "RestoreRecording":
    _require(settings.ARCHIVE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.system import now
    from recordings.services.recordings.restore_recording import RestoreRecording

    return RestoreRecording(recordings=DynamoRecordings(), archive=ArchiveBucket(), clock=now)


def recover_recording() -> "RecoverRecording":
    _require(*CALL_CLOUDFLARE, settings.PROCESSING)
    from recordings.adapters.aws.executions import ProcessingStateMachine, prepare_client
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now
    from recordings.services.recordings.recover_recording import RecoverRecording

    prepare_client()
    return RecoverRecording(
        recordings=DynamoRecordings(), provider=provider(), executions=ProcessingStateMachine(), clock=now
    )


def delete_recording() -> "DeleteRecording":
    _require()
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now
    from recordings.services.recordings.delete_recording import DeleteRecording

    return DeleteRecording(recordings=DynamoRecordings(), clock=now)


def undelete_recording() -> "UndeleteRecording":
    _require()
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.services.recordings.delete_recording import UndeleteRecording

    return UndeleteRecording(recordings=DynamoRecordings())
