"""GET /api/v1/recordings/{id}/download: get a presigned URL of the file."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import DownloadRecordingQuery, NoBody
from recordings.http.responses.downloads import Download, DownloadArchived, DownloadPending
from recordings.services.recordings.download_recording import Archived, NotYet
from recordings.wiring import api as wiring

download_recording = wiring.download_recording()


@endpoint(scope="recordings:read", query=DownloadRecordingQuery)
def handler(
    request: Request[DownloadRecordingQuery, NoBody],
) -> Response[Download | DownloadPending | DownloadArchived]:
    found = download_recording(
        tenant_id=request.tenant_id, recording_id=request.recording_id(), seconds=request.query.expires_in
    )
    match found:
        case NotYet(recording):
            return Response(HTTPStatus.ACCEPTED, DownloadPending.from_domain(recording), {"retry-after": "10"})
        case Archived(recording):
            return Response(HTTPStatus.ACCEPTED, DownloadArchived.from_domain(recording))
    document = Download.from_domain(found.recording, file=found.file, url=found.url, expires_at=found.expires_at)
    return Response(HTTPStatus.OK, document)
