"""Builds the services of the functions in functions/trigger."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from recordings import settings
from recordings.wiring.shared import RECONCILE, USE_FILES, deadlines, provider, reconcile_recording

if TYPE_CHECKING:
    from recordings.adapters.cloudflare.signature import WebhookKeys
    from recordings.domain.change import RecordingChange
    from recordings.domain.purge import PurgeRecord, Removal
    from recordings.services.audit.audit_storage import AuditStorage
    from recordings.services.recordings.announce_changes import AnnounceChanges
    from recordings.services.recordings.purge_recording import PurgeRecording
    from recordings.services.recordings.restore_recording import TrackRestore
    from recordings.services.sync.receive_webhook import ReceiveWebhook

# An item in the table's stream.
type Image = Mapping[str, Any]


def receive_webhook() -> "ReceiveWebhook":
    settings.require(*RECONCILE, settings.WEBHOOK)
    from recordings.adapters.aws.task_tokens import StepFunctionsTasks
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.services.sync.receive_webhook import ReceiveWebhook

    return ReceiveWebhook(
        rooms=DynamoRooms(),
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        tasks=StepFunctionsTasks(),
        reconcile=reconcile_recording("workflow"),
    )


def webhook_keys() -> "WebhookKeys":
    """Build what checks the signature of a webhook."""
    from recordings.adapters.cloudflare.signature import WebhookKeys

    return WebhookKeys()


def announce_changes() -> "AnnounceChanges":
    settings.require(settings.TABLE, settings.EVENT_BUS)
    from recordings.adapters.aws.event_bus import EventBridgeBus
    from recordings.http.events import status_changed
    from recordings.services.recordings.announce_changes import AnnounceChanges

    return AnnounceChanges(bus=EventBridgeBus(), event=status_changed)


def read_change() -> "Callable[[Image | None, Image | None], RecordingChange]":
    """Return what reads the images of an item before and after a write."""
    from recordings.adapters.dynamodb.stream import recording_change

    return recording_change


def purge_recording() -> "PurgeRecording":
    settings.require(settings.TABLE, *USE_FILES, settings.ARCHIVE, settings.EVENT_BUS)
    from recordings.adapters.aws.event_bus import EventBridgeBus
    from recordings.adapters.dynamodb.purge_records import DynamoPurgeRecords
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.http.events import recording_purged
    from recordings.services.recordings.purge_recording import PurgeRecording

    return PurgeRecording(
        recordings=DynamoRecordings(),
        stores={"r2": R2Bucket(), "s3": ArchiveBucket()},
        records=DynamoPurgeRecords(),
        bus=EventBridgeBus(),
        event=recording_purged,
        clock=now,
        retention=settings.TABLE().retention or None,
    )


def read_removal() -> "Callable[[Image | None, bool], Removal | PurgeRecord | None]":
    """Return what reads the image of a removed item, and whether TTL removed it."""
    from recordings.adapters.dynamodb.purge_records import removal_of

    return removal_of


def track_restore() -> "TrackRestore":
    settings.require(settings.TABLE, settings.ARCHIVE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.system import now
    from recordings.services.recordings.restore_recording import TrackRestore

    return TrackRestore(recordings=DynamoRecordings(), archive=ArchiveBucket(), clock=now)


def audit_storage() -> "AuditStorage":
    settings.require(*RECONCILE, settings.ARCHIVE)
    from recordings.adapters.aws.executions import ProcessingStateMachine
    from recordings.adapters.dynamodb.audit import DynamoOpenFindings, DynamoTenants
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.audit.audit_storage import AuditStorage
    from recordings.services.audit.provider_listing import Backoff

    return AuditStorage(
        tenants=DynamoTenants(),
        rooms=DynamoRooms(),
        recordings=DynamoRecordings(),
        provider=provider("background"),
        executions=ProcessingStateMachine(),
        stores={"r2": R2Bucket(), "s3": ArchiveBucket()},
        open_findings=DynamoOpenFindings(),
        reconcile=reconcile_recording("background"),
        # A pause costs a few minutes of one small function each week, and makes the comparison complete.
        backoff=Backoff(clock=now, wait=time.sleep),
        clock=now,
        deadlines=deadlines(),
    )
