"""Recordings in cold storage."""

from typing import Annotated

from pydantic import Field

from recordings.domain.lifecycle import Status
from recordings.http.responses.base import Document, Instant, RecordingEnvelope, RecordingId, documented, statuses


class Archive(Document):
    """The recording in cold storage."""

    state: Annotated[
        str,
        Field(
            description="`moving`: on its way to cold storage, and still downloadable. `stored`: in cold storage."
            " `restoring`: a readable copy is being made. `restored`: downloadable until `restored_until`."
        ),
        documented(type="string", enum=["moving", "stored", "restoring", "restored"]),
    ]
    storage_class: Annotated[
        str | None, Field(description="The S3 storage class. Null while the file moves.", examples=["GLACIER"])
    ]
    restored_until: Annotated[Instant | None, Field(description="When the readable copy expires.")]
    expected_at: Annotated[Instant | None, Field(description="When the requested copy should be readable.")]


class ArchivedRecording(Document):
    """A recording on its way to cold storage."""

    id: RecordingId
    status: Annotated[Status, statuses(Status.ARCHIVED)]
    archived_at: Instant


class ArchivedRecordingResponse(RecordingEnvelope):
    """An archived recording in its envelope."""

    data: ArchivedRecording


class RestoringRecording(Document):
    """A recording of which a readable copy was requested."""

    id: RecordingId
    status: Annotated[Status, statuses(Status.ARCHIVED)]
    archive: Archive


class RestoringRecordingResponse(RecordingEnvelope):
    """A recording that is being restored, in its envelope."""

    data: RestoringRecording
