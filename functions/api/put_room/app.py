"""PUT /api/v1/rooms/{id}: create or update a room."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import NoQuery, PutRoomBody
from recordings.http.responses.rooms import RoomResponse
from recordings.wiring import api as wiring

put_room = wiring.put_room()


@endpoint(scope="recordings:write", body=PutRoomBody)
def handler(request: Request[NoQuery, PutRoomBody]) -> Response[RoomResponse]:
    meeting_id = request.body.cloudflare_meeting_id
    room, created = put_room(
        tenant_id=request.tenant_id,
        room_id=request.new_room_id(),
        name=request.body.name,
        meeting_id=str(meeting_id) if meeting_id else None,
        record_on_start=request.body.record_on_start,
        may_adopt=request.has_scope("recordings:adopt"),
    )
    return Response(HTTPStatus.CREATED if created else HTTPStatus.OK, RoomResponse.from_domain(room))
