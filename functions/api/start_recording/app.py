"""POST /api/v1/rooms/{id}/recordings/start: begin recording a room."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, StartBody, started_view
from recordings.observability import count, identify
from recordings.wiring import api as wiring

start_recording = wiring.start_recording()


@endpoint(scope="recordings:write", body=StartBody, idempotency=wiring.idempotency())
def handler(request: Request[Nothing, StartBody]) -> Response:
    recording = start_recording(
        tenant_id=request.tenant_id,
        room_id=request.room_id(),
        max_duration_seconds=request.body.max_duration_seconds,
    )
    identify(recording_id=recording.id)
    count("RecordingsStarted")
    location = {"location": f"/api/v1/recordings/{recording.id}"}
    return Response(HTTPStatus.CREATED, {"data": started_view(recording)}, location)
