"""POST /api/v1/recordings/{id}/archive: move a recording to cold storage."""

from http import HTTPStatus

from recordings.adapters.aws.executions import ArchivingStateMachine
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, archiving_view
from recordings.services.recordings.archive_recording import ArchiveRecording

archive_recording = ArchiveRecording(recordings=DynamoRecordings(), runs=ArchivingStateMachine(), clock=now)


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = archive_recording(tenant_id=request.tenant_id, recording_id=request.recording_id())
    return Response(HTTPStatus.OK, {"data": archiving_view(recording)})
