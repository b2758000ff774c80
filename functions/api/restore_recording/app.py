"""POST /api/v1/recordings/{id}/restore: request a readable copy from the archive."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoQuery, RestoreRecordingBody
from recordings.http.responses.archive import RestoringRecordingResponse
from recordings.wiring import api as wiring

restore_recording = wiring.restore_recording()


@endpoint(scope="recordings:write", body=RestoreRecordingBody, idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, RestoreRecordingBody]) -> Response[RestoringRecordingResponse]:
    recording = restore_recording(
        tenant_id=request.tenant_id,
        recording_id=request.recording_id(),
        days=request.body.days,
        tier=request.body.tier,
    )
    return Response(HTTPStatus.ACCEPTED, RestoringRecordingResponse.from_domain(recording))
