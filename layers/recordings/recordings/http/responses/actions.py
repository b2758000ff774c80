"""Responses to the calls that change a recording."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field

from recordings.domain import recording as domain
from recordings.domain.lifecycle import Status
from recordings.http.responses.base import (
    AT_LEAST_0,
    Document,
    Instant,
    RecordingEnvelope,
    RecordingId,
    RoomId,
    StartedAt,
    documented,
    statuses,
)


class StartedRecording(Document):
    """A recording that has just started."""

    id: RecordingId
    room_id: RoomId
    status: Annotated[Status, statuses(Status.RECORDING)]
    started_at: StartedAt


class StartedRecordingResponse(RecordingEnvelope):
    """A started recording in its envelope."""

    data: StartedRecording


class StoppedRecording(Document):
    """A recording that was stopped."""

    id: RecordingId
    room_id: RoomId
    status: Annotated[
        Status,
        Field(description="`processing`. A later status only if Cloudflare reported the end before this call."),
        statuses(Status.PROCESSING, Status.READY, Status.ARCHIVED, Status.FAILED),
    ]
    stopped_at: Instant


class StoppedRecordingResponse(RecordingEnvelope):
    """A stopped recording in its envelope."""

    data: StoppedRecording


class SyncedRecording(Document):
    """A recording that a sync imported or changed, and its new status."""

    id: RecordingId
    status: Status


class SyncResult(Document):
    """What a sync imported or changed."""

    synced_count: Annotated[int, Field(description="The length of `recordings`.", json_schema_extra=AT_LEAST_0)]
    recordings: list[SyncedRecording]


class SyncResponse(Document):
    """What a sync imported or changed, in its envelope."""

    data: SyncResult

    @classmethod
    def from_domain(cls, recordings: Sequence[domain.Recording]) -> Self:
        return cls.model_validate({"data": {"synced_count": len(recordings), "recordings": recordings}})


class RecoveringRecording(Document):
    """A recording that is being processed again."""

    id: RecordingId
    status: Annotated[Status, statuses(Status.PROCESSING)]
    message: str


class RecoveringRecordingResponse(Document):
    """A recording that is being processed again, in its envelope."""

    data: RecoveringRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        message = "Recovery initiated. Recording will be reprocessed."
        return cls.model_validate({"data": {"id": recording.id, "status": recording.status, "message": message}})


class DeletedRecording(Document):
    """A recording that is in no list. It can be undeleted."""

    id: RecordingId
    deleted: Annotated[bool, Field(description="Always true."), documented(type="boolean", const=True)]
    deleted_at: Instant


class DeletedRecordingResponse(Document):
    """A deleted recording in its envelope."""

    data: DeletedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls.model_validate({"data": {"id": recording.id, "deleted": True, "deleted_at": recording.deleted_at}})


class UndeletedRecording(Document):
    """A recording that was deleted and is back."""

    id: RecordingId
    deleted: Annotated[bool, Field(description="Always false."), documented(type="boolean", const=False)]
    status: Status


class UndeletedRecordingResponse(Document):
    """An undeleted recording in its envelope."""

    data: UndeletedRecording

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        return cls.model_validate({"data": {"id": recording.id, "deleted": False, "status": recording.status}})
