"""POST /api/v1/rooms/{id}/recordings/start: start recording a room."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoQuery, StartRecordingBody
from recordings.http.responses.actions import StartedRecordingResponse
from recordings.observability import count, identify
from recordings.wiring import api as wiring

start_recording = wiring.start_recording()


@endpoint(scope="recordings:write", body=StartRecordingBody, idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, StartRecordingBody]) -> Response[StartedRecordingResponse]:
    recording = start_recording(
        tenant_id=request.tenant_id,
        room_id=request.room_id(),
        max_duration_seconds=request.body.max_duration_seconds,
    )
    identify(recording_id=recording.id)
    count("RecordingsStarted")
    location = {"location": f"/api/v1/recordings/{recording.id}"}
    return Response(HTTPStatus.CREATED, StartedRecordingResponse.from_domain(recording), location)
