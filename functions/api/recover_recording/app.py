"""POST /api/v1/recordings/{id}/recover: start a stuck recording's processing anew."""

from http import HTTPStatus

from recordings.adapters.aws.executions import ProcessingStateMachine
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, recovering_view
from recordings.services.recordings.recover_recording import RecoverRecording

recover_recording = RecoverRecording(
    recordings=DynamoRecordings(),
    recorder=RealtimeKitClient(DynamoRateLimiter()),
    workflow=ProcessingStateMachine(),
    clock=now,
)


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = recover_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, {"data": recovering_view(recording)})
