"""GET /api/v1/recordings/{id}/download: a presigned URL of the file."""

from datetime import timedelta
from http import HTTPStatus

from recordings.adapters.dynamo import DynamoRecordings
from recordings.adapters.object_store import R2
from recordings.adapters.system import now
from recordings.domain.errors import RecordingFailed
from recordings.domain.lifecycle import Status
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import DownloadQuery, Nothing, archived_view, download_view, instant, waiting_view

recordings, files = DynamoRecordings(), R2()


@endpoint(scope="recordings:read", query=DownloadQuery)
def handler(request: Request[DownloadQuery, Nothing]) -> Response:
    recording = recordings.get(request.tenant_id, request.path("id"))
    if recording.status is Status.FAILED:
        raise RecordingFailed(recording.failure.message if recording.failure else "")
    if recording.status is Status.ARCHIVED:
        return Response(HTTPStatus.ACCEPTED, archived_view(recording))
    if recording.file is None:
        return Response(HTTPStatus.ACCEPTED, waiting_view(recording), {"retry-after": "10"})
    expires_at = now() + timedelta(seconds=request.query.expires_in)
    url = files.presign(
        recording.file.key,
        file_name=f"{recording.room_name} {recording.started_at:%Y-%m-%d %H-%M}.mp4",
        content_type=recording.file.content_type,
        expires_in=request.query.expires_in,
    )
    return Response(HTTPStatus.OK, download_view(recording, recording.file, url, instant(expires_at)))
