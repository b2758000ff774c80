"""POST /api/v1/rooms/{id}/recordings/sync: bring a room's recordings in line with Cloudflare."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, synced_view
from recordings.wiring import api as wiring

sync_recordings = wiring.sync_recordings()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[Nothing, Nothing]) -> Response:
    changed = sync_recordings(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, {"data": synced_view(changed)})
