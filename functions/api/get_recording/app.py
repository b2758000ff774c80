"""GET /api/v1/recordings/{id}: read one recording."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.recordings import RecordingResponse
from recordings.wiring import api as wiring

get_recording = wiring.get_recording()


@endpoint(scope="recordings:read", actor="optional")
def handler(request: Request[NoQuery, NoBody]) -> Response[RecordingResponse]:
    recording, name = get_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, RecordingResponse.from_domain(recording, room_name=name))
