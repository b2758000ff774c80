"""GET /api/v1/recordings/{id}: read one recording."""

from http import HTTPStatus

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.schemas import Nothing, recording_view

recordings, rooms = DynamoRecordings(), DynamoRooms()


@endpoint(scope="recordings:read")
def handler(request: Request[Nothing, Nothing]) -> Response:
    recording = recordings.get(request.tenant_id, request.recording_id())
    # Of a room that was deleted before its last name was kept, only the name at the start is known.
    name = rooms.last_name(request.tenant_id, recording.room_id) or recording.room_name
    return Response(HTTPStatus.OK, {"data": recording_view(recording, room_name=name)})
