"""DELETE /api/v1/recordings/{id}: delete a recording so that it can come back."""

from http import HTTPStatus

from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, deleted_view
from recordings.services.recordings.delete_recording import DeleteRecording

delete_recording = DeleteRecording(recordings=DynamoRecordings(), clock=now)


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = delete_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, {"data": deleted_view(recording)})
