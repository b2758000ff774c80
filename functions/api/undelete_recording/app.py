"""POST /api/v1/recordings/{id}/undelete: bring a deleted recording back."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, undeleted_view
from recordings.wiring import api as wiring

undelete_recording = wiring.undelete_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = undelete_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, {"data": undeleted_view(recording)})
