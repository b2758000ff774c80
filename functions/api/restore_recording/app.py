"""POST /api/v1/recordings/{id}/restore: ask cold storage for a readable copy."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, RestoreBody, restoring_view
from recordings.wiring import api as wiring

restore_recording = wiring.restore_recording()


@endpoint(scope="recordings:write", body=RestoreBody, idempotency=wiring.idempotency())
def handler(request: Request[Nothing, RestoreBody]) -> Response:
    recording = restore_recording(
        tenant_id=request.tenant_id,
        recording_id=request.recording_id(),
        days=request.body.days,
        tier=request.body.tier,
    )
    return Response(HTTPStatus.ACCEPTED, {"data": restoring_view(recording)})
