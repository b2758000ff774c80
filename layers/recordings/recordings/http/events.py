"""What the service announces on the event bus: a model for each detail. docs/events.md describes them."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field

from recordings.domain.lifecycle import Status
from recordings.domain.purge import PurgeRecord
from recordings.domain.recording import Recording as DomainRecording
from recordings.http.responses.base import Document, Instant, to_dict
from recordings.http.responses.recordings import Recording, recording_values

# An event has at most 256 KB. So an event lists this many removed items, and counts all of them.
# Source: EventBridge, "Quotas".
MAX_LISTED_ITEMS: Final = 200


class StatusChanged(Document):
    """Detail of `recording.status_changed`. `from` is a keyword of Python, hence the alias."""

    event_id: str
    tenant_id: str
    recording_id: str
    room_id: str
    from_status: Annotated[Status | None, Field(serialization_alias="from")]
    to: Status
    at: Instant
    cause: str
    version: int
    recording: Recording

    @classmethod
    def from_domain(cls, recording: DomainRecording, *, before: Status | None) -> Self:
        """Build the detail for the last entry of the history. `before` is None for an import."""
        change = recording.history[-1]
        return cls.model_validate(
            {
                "event_id": f"{recording.id}-{recording.version}",
                "tenant_id": recording.tenant_id,
                "recording_id": recording.id,
                "room_id": recording.room_id,
                "from_status": before,
                "to": recording.status,
                "at": change.at,
                "cause": change.cause,
                "version": recording.version,
                "recording": recording_values(recording, room_name=recording.room_name),
            }
        )


class Actor(Document):
    """Who caused an event."""

    type: Literal["system"]
    id: Literal["retention"]


class RemovedItem(Document):
    """An object, version, delete marker or upload that was removed. `id` is null for an object without versions."""

    store: str
    key: str
    kind: str
    id: str | None


class AbsentItem(Document):
    """Where bytes were expected and not found."""

    store: str
    key: str


class Purge(Document):
    """What was removed of a recording."""

    id: str
    room_id: str
    deleted_at: Instant
    removed_count: int
    removed: list[RemovedItem]
    absent: list[AbsentItem]


class RecordingPurged(Document):
    """Detail of `recording.purged`: everything that was stored of a deleted recording is removed permanently."""

    id: str
    type: Literal["recording.purged"]
    time: Instant
    tenant_id: str
    actor: Actor
    version: int
    data: Purge

    @classmethod
    def from_domain(cls, record: PurgeRecord, *, late: bool) -> Self:
        """Build the detail. `late`: for what arrived after the purge."""
        return cls.model_validate(
            {
                "id": f"{record.id}-purged-late" if late else f"{record.id}-purged",
                "type": "recording.purged",
                "time": record.purged_at,
                "tenant_id": record.tenant_id,
                "actor": {"type": "system", "id": "retention"},
                "version": record.version,
                "data": {
                    "id": record.id,
                    "room_id": record.room_id,
                    "deleted_at": record.deleted_at,
                    "removed_count": len(record.found),
                    "removed": [
                        {"store": item.store, "key": item.key, "kind": item.kind, "id": item.id or None}
                        for item in record.found[:MAX_LISTED_ITEMS]
                    ],
                    "absent": [] if late else [{"store": store, "key": key} for store, key in record.absent],
                },
            }
        )


def status_changed(before: Status | None, after: DomainRecording) -> dict[str, Any]:
    """Return the detail of `recording.status_changed` as JSON values. `before` is None for an import."""
    return to_dict(StatusChanged.from_domain(after, before=before))


def recording_purged(record: PurgeRecord, *, late: bool) -> dict[str, Any]:
    """Return the detail of `recording.purged` as JSON values. `late`: for what arrived after the purge."""
    return to_dict(RecordingPurged.from_domain(record, late=late))
