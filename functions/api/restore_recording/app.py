"""POST /api/v1/recordings/{id}/restore: ask cold storage for a readable copy."""

from http import HTTPStatus

from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, RestoreBody, restoring_view
from recordings.services.recordings.restore_recording import RestoreRecording

restore_recording = RestoreRecording(recordings=DynamoRecordings(), vault=ArchiveBucket(), clock=now)


@endpoint(scope="recordings:write", body=RestoreBody, idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, RestoreBody]) -> Response:
    recording = restore_recording(
        tenant_id=request.tenant_id,
        recording_id=request.recording_id(),
        days=request.body.days,
        tier=request.body.tier,
    )
    return Response(HTTPStatus.ACCEPTED, {"data": restoring_view(recording)})
