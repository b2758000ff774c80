"""POST /api/v1/rooms/{id}/recordings/stop: stop the recording of a room."""

from http import HTTPStatus

from recordings.adapters.aws.executions import ProcessingStateMachine
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.system import new_id, now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, stopped_view
from recordings.observability import identify
from recordings.services.recordings.stop_recording import StopRecording

stop_recording = StopRecording(
    rooms=DynamoRooms(),
    recordings=DynamoRecordings(),
    recorder=RealtimeKitClient(DynamoRateLimiter("stop")),
    workflow=ProcessingStateMachine(),
    clock=now,
    new_id=new_id,
)


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = stop_recording(tenant_id=request.tenant_id, room_id=request.room_id())
    identify(recording_id=recording.id)
    return Response(HTTPStatus.OK, {"data": stopped_view(recording)})
