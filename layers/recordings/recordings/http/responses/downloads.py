"""Responses to a download. They have no envelope."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from recordings.domain import recording as domain
from recordings.domain.lifecycle import Status
from recordings.domain.stored_file import StoredFile
from recordings.http.responses.base import (
    AT_LEAST_0,
    PROVIDER,
    Document,
    Duration,
    Instant,
    Provider,
    RecordingId,
    format_instant,
    statuses,
)


class Download(Document):
    """Where the file is. No envelope."""

    recording_id: RecordingId
    download_url: Annotated[
        str,
        Field(
            description="Presigned. Needs no token, takes range requests, and saves under a readable file name.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    status: Annotated[Status, statuses(Status.READY)]
    duration: Duration
    file_size: Annotated[int, Field(description="Size of the file in bytes.", json_schema_extra=AT_LEAST_0)]
    provider: Annotated[Provider, Field(description=PROVIDER)]
    expires_at: Annotated[Instant, Field(description="When the URL expires. May be sooner than requested.")]

    @classmethod
    def from_domain(cls, recording: domain.Recording, *, file: StoredFile, url: str, expires_at: datetime) -> Self:
        """Build the document. `status` is the status of the download, so it is `ready` for a restored copy too."""
        return cls(
            recording_id=recording.id,
            download_url=url,
            status=Status.READY,
            duration=recording.duration_seconds,
            file_size=file.size_bytes,
            provider=file.store,
            expires_at=expires_at,
        )


class DownloadPending(Document):
    """The file is still being made, copied or verified. No envelope."""

    recording_id: RecordingId
    status: Annotated[Status, statuses(Status.PROCESSING)]
    message: str

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        message = "Recording is still being processed. Please try again later."
        return cls(recording_id=recording.id, status=Status.PROCESSING, message=message)


class DownloadArchived(Document):
    """The file is in cold storage and has to be restored first. No envelope."""

    recording_id: RecordingId
    status: Annotated[Status, statuses(Status.ARCHIVED)]
    message: Annotated[str, Field(description="How to restore it, or when the requested copy should be readable.")]

    @classmethod
    def from_domain(cls, recording: domain.Recording) -> Self:
        expected_at = recording.archive.expected_at if recording.archive else None
        how = (
            f"A readable copy is on its way and expected by {format_instant(expected_at)}."
            if expected_at
            else f"Ask for a readable copy with POST /api/v1/recordings/{recording.id}/restore."
        )
        return cls(recording_id=recording.id, status=Status.ARCHIVED, message=f"Recording is archived. {how}")
