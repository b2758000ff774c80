"""Builds the services of the scheduled sync, which are tasks of its state machine."""

from typing import TYPE_CHECKING

from recordings import settings
from recordings.wiring.shared import CALL_CLOUDFLARE, RECONCILE, OnAction, deadlines, provider, reconcile_recording

if TYPE_CHECKING:
    from recordings.services.sync.begin_sync import BeginSync
    from recordings.services.sync.end_sync import EndSync
    from recordings.services.sync.reconcile_batch import During, ReconcileBatch
    from recordings.services.sync.scan_provider_recordings import ScanProviderRecordings


def begin_sync() -> "BeginSync":
    settings.require(settings.TABLE)
    from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
    from recordings.adapters.system import now
    from recordings.services.sync.begin_sync import BeginSync

    return BeginSync(lease=DynamoSyncLease(), clock=now)


def scan_provider_recordings() -> "ScanProviderRecordings":
    settings.require(*CALL_CLOUDFLARE, settings.DEADLINES, settings.ATTEMPTS)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
    from recordings.adapters.system import now
    from recordings.services.sync.scan_provider_recordings import ScanProviderRecordings

    return ScanProviderRecordings(
        lease=DynamoSyncLease(),
        rooms=DynamoRooms(),
        recordings=DynamoRecordings(),
        provider=provider("background"),
        retry_queue=DynamoRetryQueue(),
        clock=now,
        deadlines=deadlines(),
    )


def reconcile_batch(*, on_action: OnAction, during: "During") -> "ReconcileBatch":
    """Build the processing of a batch. `during` is entered for each item, `on_action` called after each action."""
    settings.require(*RECONCILE, settings.ARCHIVE, settings.ARCHIVING)
    from recordings.adapters.aws.executions import ArchivingStateMachine, ProcessingStateMachine
    from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
    from recordings.adapters.dynamodb.rooms import DynamoRooms
    from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.sync.reconcile_batch import ReconcileBatch
    from recordings.services.sync.resume_archive import ResumeArchive
    from recordings.services.transfer.late_delivery import RemoveLateDelivery

    recordings, r2, archive = DynamoRecordings(), R2Bucket(), ArchiveBucket()
    return ReconcileBatch(
        lease=DynamoSyncLease(),
        rooms=DynamoRooms(),
        recordings=recordings,
        provider=provider("background"),
        executions=ProcessingStateMachine(),
        resume_archive=ResumeArchive(
            recordings=recordings,
            archiving=ArchivingStateMachine(),
            store=r2,
            archive=archive,
            links=DynamoDownloadLinks(),
            clock=now,
        ),
        remove_late_delivery=RemoveLateDelivery(store=r2, archive=archive),
        retry_queue=DynamoRetryQueue(),
        reconcile=reconcile_recording("background", on_action=on_action),
        clock=now,
        deadlines=deadlines(),
        during=during,
    )


def end_sync() -> "EndSync":
    settings.require(settings.TABLE)
    from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
    from recordings.services.sync.end_sync import EndSync

    return EndSync(lease=DynamoSyncLease())
