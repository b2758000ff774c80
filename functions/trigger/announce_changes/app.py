"""DynamoDB stream: tell the tenants' systems of every transition and import."""

from recordings.adapters.dynamo import recording_of
from recordings.adapters.events import announce
from recordings.http.schemas import Document, change_view
from recordings.workflow.task import Payload, task


@task
def handler(payload: Payload) -> Payload:
    told = [(record["dynamodb"]["SequenceNumber"], change_of(record)) for record in payload["Records"]]
    changes = [(number, detail) for number, detail in told if detail is not None]
    refused = announce([detail for _, detail in changes])
    # From the first that was refused on, the stream sends all again; a repeat has the same event_id.
    return {"batchItemFailures": [{"itemIdentifier": changes[index][0]} for index in sorted(refused)[:1]]}


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
