"""DynamoDB stream: announce changes of status and imports to the tenants' systems."""

from recordings.domain.change import RecordingChange
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
    # All at once, because the bus accepts ten events in a call.
    announcement = announce_changes({record.sequence_number: change_of(record) for record in event.records})

    def confirm(record: StreamRecord) -> None:
        status = announcement.confirm(record.sequence_number)
        if status is not None:
            count("EventsAnnounced")
            count(ENTERED[status])

    return handle_records(event, confirm, failure="not announced", metric="EventsRefused", in_order=True, ids=ids_of)


def change_of(record: StreamRecord) -> RecordingChange:
    return read_change(record.old_image, record.new_image)


def ids_of(record: StreamRecord) -> dict[str, str | None]:
    return change_of(record).ids
