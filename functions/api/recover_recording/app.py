"""POST /api/v1/recordings/{id}/recover: restart the processing of a stuck recording."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.actions import RecoveringRecordingResponse
from recordings.wiring import api as wiring

recover_recording = wiring.recover_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[RecoveringRecordingResponse]:
    recording = recover_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, RecoveringRecordingResponse.from_domain(recording))
