"""DynamoDB stream: purge a deleted recording, with all its files, at the end of its retention."""

from recordings.observability import count, logger
from recordings.wiring import trigger as wiring
from recordings.workflow.stream import StreamEvent, StreamOutput, StreamRecord, handle_records
from recordings.workflow.task import task_of

purge_recording, read_removal = wiring.purge_recording(), wiring.read_removal()
METRICS = {"purged": "RecordingsPurged", "purge refused": "PurgesRefused"}


@task_of("retention")
def handler(event: StreamEvent) -> StreamOutput:
    # The records are independent: one that fails does not stop the others.
    return handle_records(event, purge, failure="not purged", metric="PurgesFailed", ids=ids_of)


def purge(record: StreamRecord) -> None:
    removal = read_removal(record.removed_image, record.is_by_time_to_live)
    if removal is None:
        return
    purged = purge_recording(removal)
    # Nobody can undo a purge, so it leaves a line at a level that production logs.
    logger.warning(purged.outcome, **purged.facts)
    if purged.outcome in METRICS:
        count(METRICS[purged.outcome])
    if purged.record is not None:
        count("FilesPurged", len(purged.record.found))


def ids_of(record: StreamRecord) -> dict[str, str | None]:
    removal = read_removal(record.removed_image, record.is_by_time_to_live)
    return removal.ids if removal is not None else {}
