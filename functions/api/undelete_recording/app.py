"""POST /api/v1/recordings/{id}/undelete: undelete a recording."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.actions import UndeletedRecordingResponse
from recordings.wiring import api as wiring

undelete_recording = wiring.undelete_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[UndeletedRecordingResponse]:
    recording = undelete_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, UndeletedRecordingResponse.from_domain(recording))
