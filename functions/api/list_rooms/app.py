"""GET /api/v1/rooms: list the rooms of the tenant, by id."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint, listed
from recordings.http.schemas import Nothing, RoomsQuery, room_view
from recordings.wiring import api as wiring

list_rooms = wiring.list_rooms()


@endpoint(scope="recordings:read", query=RoomsQuery)
def handler(request: Request[RoomsQuery, Nothing]) -> Response:
    query = request.query
    page = list_rooms(tenant_id=request.tenant_id, limit=query.limit, cursor=query.cursor)
    meta = {"limit": query.limit, "next_cursor": page.cursor}
    return Response(HTTPStatus.OK, listed([room_view(room) for room in page.items], meta))
