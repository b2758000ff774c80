"""POST /api/v1/recordings/{id}/archive: move a recording to cold storage."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, archiving_view
from recordings.wiring import api as wiring

archive_recording = wiring.archive_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = archive_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, {"data": archiving_view(recording)})
