"""GET /api/v1/rooms/{id}: read one room."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.rooms import RoomResponse
from recordings.wiring import api as wiring

get_room = wiring.get_room()


@endpoint(scope="recordings:read", actor="optional")
def handler(request: Request[NoQuery, NoBody]) -> Response[RoomResponse]:
    room = get_room(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, RoomResponse.from_domain(room))
