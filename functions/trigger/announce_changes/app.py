"""DynamoDB stream: announce changes of status and imports to the tenants' systems."""

from recordings.observability import count
from recordings.wiring import trigger as wiring
from recordings.workflow.messages.base import Payload
from recordings.workflow.stream import handle_records
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
def handler(payload: Payload) -> Payload:
    # All at once, because the bus accepts ten events in a call.
    announcement = announce_changes({number(record): read_change(record) for record in payload["Records"]})

    def confirm(record: Payload) -> None:
        status = announcement.confirm(number(record))
        if status is not None:
            count("EventsAnnounced")
            count(ENTERED[status])

    return handle_records(payload, confirm, failure="not announced", metric="EventsRefused", in_order=True, ids=ids_of)


def number(record: Payload) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def ids_of(record: Payload) -> dict[str, str | None]:
    return read_change(record).ids
