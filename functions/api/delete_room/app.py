"""DELETE /api/v1/rooms/{id}: delete a room; its recordings stay."""

from http import HTTPStatus

from recordings import wiring
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing
from recordings.services.rooms.delete_room import DeleteRoom

rooms = DynamoRooms()
delete_room = DeleteRoom(rooms=rooms, release=wiring.release_meeting(rooms, RealtimeKitClient(DynamoRateLimiter())))


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    room = delete_room(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, {"data": {"id": room.id, "deleted": True}})
