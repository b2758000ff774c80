"""DynamoDB stream: announce changes of status and imports to the tenants' systems."""

from recordings.observability import count
from recordings.wiring import trigger as wiring
from recordings.workflow.stream import StreamEvent, StreamOutput, StreamRecord, handle_records
from recordings.workflow.task import task

announce_changes, read_change = wiring.announce_changes(), wiring.read_change()
ENTERED = {
    "recording": "EnteredRecording",
    "processing": "EnteredProcessing",
    "ready": "EnteredReady",
    "failed": "EnteredFailed",
    "archived": "EnteredArchived",
}


@task
def handler(event: StreamEvent) -> StreamOutput:
    changes = {record.sequence_number: read_change(record.old_image, record.new_image) for record in event.records}
    # All at once, because the bus accepts ten events in a call.
    announcement = announce_changes(changes)

    def confirm(record: StreamRecord) -> None:
        status = announcement.confirm(record.sequence_number)
        if status is not None:
            count("EventsAnnounced")
            count(ENTERED[status])

    def ids_of(record: StreamRecord) -> dict[str, str | None]:
        return changes[record.sequence_number].ids

    return handle_records(event, confirm, failure="not announced", metric="EventsRefused", in_order=True, ids=ids_of)
