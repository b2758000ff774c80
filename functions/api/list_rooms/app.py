"""GET /api/v1/rooms: list the rooms of the tenant, by id."""

from http import HTTPStatus

from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.http.endpoint import Request, Response, endpoint, listed
from recordings.http.schemas import Nothing, RoomsQuery, room_view

rooms = DynamoRooms()


@endpoint(scope="recordings:read", query=RoomsQuery)
def handler(request: Request[RoomsQuery, Nothing]) -> Response:
    query = request.query
    page = rooms.list(request.tenant_id, limit=query.limit, cursor=query.cursor)
    meta = {"limit": query.limit, "next_cursor": page.cursor}
    return Response(HTTPStatus.OK, listed([room_view(room) for room in page.items], meta))
