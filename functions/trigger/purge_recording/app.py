"""DynamoDB stream: remove for good what was stored of a recording whose retention after deletion is over."""

import os
from datetime import timedelta

from recordings.adapters.aws.event_bus import announce
from recordings.adapters.dynamodb.purge_records import DynamoPurgeRecords, removal_of
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.erasable import ErasableBucket
from recordings.adapters.system import now
from recordings.domain.errors import Throttled
from recordings.domain.purge import PurgeRecord, Removal
from recordings.http.schemas import purged_view
from recordings.observability import count, logger
from recordings.services.recordings.purge_recording import Purged, PurgeRecording
from recordings.workflow.messages.base import Payload
from recordings.workflow.stream import handle_records
from recordings.workflow.task import task


class EventBus:
    """Implements purge_recording.PurgeNews."""

    def purged(self, record: PurgeRecord, *, late: bool) -> None:
        event = purged_view(record, late=late)
        if announce([event], detail_type=event["type"]):
            raise Throttled("the event bus took no event; the stream sends the removal again")


def purge_recording() -> PurgeRecording:
    days = int(os.environ.get("RETENTION_DAYS", "0"))
    return PurgeRecording(
        recordings=DynamoRecordings(),
        stores={
            "r2": ErasableBucket("r2", R2Bucket(), versioned=False),
            "s3": ErasableBucket("s3", ArchiveBucket(), versioned=True),
        },
        records=DynamoPurgeRecords(),
        news=EventBus(),
        clock=now,
        retention=timedelta(days=days) if days else None,
    )


@task
def handler(payload: Payload) -> Payload:
    purge = purge_recording()

    def handle(record: Payload) -> None:
        removal = removal_of(record)
        if isinstance(removal, Removal):
            tell(purge(removal))
        elif removal is not None:
            tell(purge.sweep(removal))

    # One that fails holds up none of the others.
    return handle_records(payload, handle, failure="not purged", metric="PurgesFailed", ids=ids_of)


def ids_of(record: Payload) -> dict[str, str | None]:
    """The recording whose item, or what is kept of it, was removed."""
    removal = removal_of(record)
    if removal is None:
        return {}
    found = removal.recording if isinstance(removal, Removal) else removal
    return {"tenant_id": found.tenant_id, "recording_id": found.id}


def tell(done: Purged) -> None:
    """Log at a level that production shows, and count: a purge is the one thing that cannot be undone."""
    if done.put_back:
        logger.warning("put back", reason=done.refused)
    elif done.refused is not None:
        logger.warning("purge refused", reason=done.refused)
        count("PurgesRefused")
    elif done.record is not None:
        absent = [f"{store}:{key}" for store, key in done.record.absent]
        logger.warning("purged", removed=len(done.record.found), absent=absent)
        count("RecordingsPurged")
        count("FilesPurged", len(done.record.found))
