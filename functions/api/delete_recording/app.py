"""DELETE /api/v1/recordings/{id}: delete a recording; undelete takes that back."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.actions import DeletedRecordingResponse
from recordings.wiring import api as wiring

delete_recording = wiring.delete_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[DeletedRecordingResponse]:
    recording = delete_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, DeletedRecordingResponse.from_domain(recording))
