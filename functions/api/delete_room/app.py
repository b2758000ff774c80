"""DELETE /api/v1/rooms/{id}: delete a room; its recordings stay."""

from http import HTTPStatus

from recordings.adapters.dynamo import DynamoIdempotencyKeys, DynamoRooms
from recordings.adapters.system import now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing

rooms = DynamoRooms()


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    room = rooms.get(request.tenant_id, request.room_id())
    rooms.remove(room)
    return Response(HTTPStatus.OK, {"data": {"id": room.id, "deleted": True}})
