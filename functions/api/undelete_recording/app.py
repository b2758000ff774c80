"""POST /api/v1/recordings/{id}/undelete: bring a deleted recording back."""

from http import HTTPStatus

from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, undeleted_view
from recordings.services.recordings.delete_recording import UndeleteRecording

undelete_recording = UndeleteRecording(recordings=DynamoRecordings())


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = undelete_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, {"data": undeleted_view(recording)})
