"""DELETE /api/v1/rooms/{id}: delete a room; its recordings stay."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoBody, NoQuery
from recordings.http.responses.rooms import DeletedRoomResponse
from recordings.wiring import api as wiring

delete_room = wiring.delete_room()


@endpoint(scope="recordings:write", idempotency=wiring.idempotency())
def handler(request: Request[NoQuery, NoBody]) -> Response[DeletedRoomResponse]:
    room = delete_room(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, DeletedRoomResponse.from_domain(room))
