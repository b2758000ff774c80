"""PUT /api/v1/rooms/{id}: create or update a room."""

from http import HTTPStatus

from recordings.domain.ids import is_room_id
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.problems import invalid_field
from recordings.http.requests import NoQuery, PutRoomBody
from recordings.http.responses.rooms import RoomResponse
from recordings.services.rooms.put_room import RoomRequest
from recordings.wiring import api as wiring

put_room = wiring.put_room()


@endpoint(scope="recordings:write", body=PutRoomBody)
def handler(request: Request[NoQuery, PutRoomBody]) -> Response[RoomResponse]:
    room_id, body = request.path("id"), request.body
    if not is_room_id(room_id):
        raise invalid_field("id", "must be 1 to 128 of A-Z a-z 0-9 _ . : -, and not . or ..")
    room, created = put_room(
        tenant_id=request.tenant_id,
        room_id=room_id,
        asked=RoomRequest(
            name=body.name,
            meeting_id=str(body.cloudflare_meeting_id) if body.cloudflare_meeting_id else None,
            record_on_start=body.record_on_start,
            may_adopt=request.has_scope("recordings:adopt"),
        ),
    )
    return Response(HTTPStatus.CREATED if created else HTTPStatus.OK, RoomResponse.from_domain(room))
