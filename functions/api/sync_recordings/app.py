"""POST /api/v1/rooms/{id}/recordings/sync: update the recordings of a room from Cloudflare."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.actions import SyncResponse
from recordings.wiring import api as wiring

sync_recordings = wiring.sync_recordings()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[SyncResponse]:
    changed = sync_recordings(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, SyncResponse.from_domain(changed))
