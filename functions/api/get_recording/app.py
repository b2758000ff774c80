"""GET /api/v1/recordings/{id}: read one recording."""

from http import HTTPStatus

from recordings.adapters.dynamo import DynamoRecordings, DynamoRooms
from recordings.domain.errors import RoomNotFound
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, recording_view

recordings, rooms = DynamoRecordings(), DynamoRooms()


@endpoint(scope="recordings:read")
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = recordings.get(request.tenant_id, request.path("id"))
    try:
        name = rooms.get(request.tenant_id, recording.room_id).name
    except RoomNotFound:
        name = recording.room_name
    return Response(HTTPStatus.OK, {"data": recording_view(recording, room_name=name)})
