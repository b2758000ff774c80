"""GET /api/v1/rooms/{id}: read one room."""

from http import HTTPStatus

from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, room_view

rooms = DynamoRooms()


@endpoint(scope="recordings:read")
def handler(request: Request[Nothing, Nothing]) -> Response:
    return Response(HTTPStatus.OK, {"data": room_view(rooms.get(request.tenant_id, request.room_id()))})
