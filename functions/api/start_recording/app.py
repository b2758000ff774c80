"""POST /api/v1/rooms/{id}/recordings/start: begin recording a room."""

from http import HTTPStatus

from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.system import new_id, new_nonce, now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, StartBody, started_view
from recordings.observability import count, identify
from recordings.services.recordings.start_recording import StartRecording

start_recording = StartRecording(
    rooms=DynamoRooms(),
    recordings=DynamoRecordings(),
    recorder=RealtimeKitClient(DynamoRateLimiter()),
    clock=now,
    new_id=new_id,
    new_nonce=new_nonce,
)


@endpoint(scope="recordings:write", body=StartBody, idempotency=Idempotency(DynamoIdempotencyKeys(), now))
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
