"""DynamoDB stream: tell the tenants' systems of every transition and import."""

from recordings.adapters.aws.event_bus import announce
from recordings.adapters.dynamodb.recording_items import recording_of
from recordings.domain.errors import Throttled
from recordings.domain.recording import Recording
from recordings.http.schemas import Document, change_view
from recordings.observability import count
from recordings.workflow.messages.base import Payload
from recordings.workflow.stream import handle_records
from recordings.workflow.task import task

# Every change of status passes here, once it is stored.
ENTERED = {
    "recording": "EnteredRecording",
    "processing": "EnteredProcessing",
    "ready": "EnteredReady",
    "failed": "EnteredFailed",
    "archived": "EnteredArchived",
}


@task
def handler(payload: Payload) -> Payload:
    told = [(record["dynamodb"]["SequenceNumber"], change_of(record)) for record in payload["Records"]]
    changes = [(number, detail) for number, detail in told if detail is not None]
    # Ten at a time, so before the records are gone through one by one.
    refused = {changes[index][0] for index in announce([detail for _, detail in changes])}
    announced = {number: detail for number, detail in changes if number not in refused}

    def check(record: Payload) -> None:
        number = record["dynamodb"]["SequenceNumber"]
        if number in refused:
            # It comes again, and all after it too; a repeat has the same event_id.
            raise Throttled("the event bus took no event; the stream sends the change again")
        if number in announced:
            count("EventsAnnounced")
            count(ENTERED[announced[number]["to"]])

    return handle_records(payload, check, failure="not announced", metric="EventsRefused", in_order=True, ids=ids_of)


def ids_of(record: Payload) -> dict[str, str | None]:
    """The recording that a record is about, if it is about one."""
    found: Recording | None = recording_of(record["dynamodb"].get("NewImage", {}))
    return {} if found is None else {"tenant_id": found.tenant_id, "recording_id": found.id}


def change_of(record: Payload) -> Document | None:
    """The detail of the event that a write calls for; None for a write that is no transition and no import."""
    images = record["dynamodb"]
    after = recording_of(images["NewImage"]) if "NewImage" in images else None
    before = recording_of(images["OldImage"]) if "OldImage" in images else None
    if after is None:
        return None
    if before is None:
        # A recording that moves to or from the trash is a new item too, but its version has outgrown its history.
        return change_view(None, after) if after.version == len(after.history) else None
    return change_view(before.status, after) if len(after.history) > len(before.history) else None
