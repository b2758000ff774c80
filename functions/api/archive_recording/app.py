"""POST /api/v1/recordings/{id}/archive: move the file of a recording to the archive."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.archive import ArchivedRecordingResponse
from recordings.wiring import api as wiring

archive_recording = wiring.archive_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[ArchivedRecordingResponse]:
    recording = archive_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, ArchivedRecordingResponse.from_domain(recording))
