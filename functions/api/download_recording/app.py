"""GET /api/v1/recordings/{id}/download: a presigned URL of the file."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import DownloadQuery, Nothing, archived_view, download_view, waiting_view
from recordings.services.recordings.download_recording import Archived, NotYet
from recordings.wiring import api as wiring

download_recording = wiring.download_recording()


@endpoint(scope="recordings:read", query=DownloadQuery)
def handler(request: Request[DownloadQuery, Nothing]) -> Response:
    found = download_recording(
        tenant_id=request.tenant_id, recording_id=request.recording_id(), seconds=request.query.expires_in
    )
    match found:
        case NotYet(recording):
            return Response(HTTPStatus.ACCEPTED, waiting_view(recording), {"retry-after": "10"})
        case Archived(recording):
            return Response(HTTPStatus.ACCEPTED, archived_view(recording))
    return Response(HTTPStatus.OK, download_view(found.recording, found.file, found.url, found.expires_at))
