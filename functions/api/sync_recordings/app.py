"""POST /api/v1/rooms/{id}/recordings/sync: bring a room's recordings in line with Cloudflare."""

from http import HTTPStatus

from recordings import wiring
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, synced_view

sync = wiring.sync_room(DynamoRooms(), RealtimeKitClient(DynamoRateLimiter()))


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    changed = sync(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, {"data": synced_view(changed)})
