"""POST /api/v1/rooms/{id}/recordings/stop: stop the recording of a room."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.actions import StoppedRecordingResponse
from recordings.observability import identify
from recordings.wiring import api as wiring

stop_recording = wiring.stop_recording()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[StoppedRecordingResponse]:
    recording = stop_recording(tenant_id=request.tenant_id, room_id=request.room_id())
    identify(recording_id=recording.id)
    return Response(HTTPStatus.OK, StoppedRecordingResponse.from_domain(recording))
