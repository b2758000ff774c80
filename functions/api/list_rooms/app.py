"""GET /api/v1/rooms: list the rooms of the tenant, by id."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import ListRoomsQuery, NoBody
from recordings.http.responses.rooms import RoomPage
from recordings.wiring import api as wiring

list_rooms = wiring.list_rooms()


@endpoint(scope="recordings:read", actor="optional", query=ListRoomsQuery)
def handler(request: Request[ListRoomsQuery, NoBody]) -> Response[RoomPage]:
    query = request.query
    page = list_rooms(tenant_id=request.tenant_id, limit=query.limit, cursor=query.cursor)
    return Response(HTTPStatus.OK, RoomPage.from_domain(page.items, limit=query.limit, next_cursor=page.cursor))
