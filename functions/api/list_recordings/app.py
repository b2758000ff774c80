"""GET /api/v1/recordings: list the recordings of the tenant, newest first."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import ListRecordingsQuery, NoBody
from recordings.http.responses.recordings import RecordingPage
from recordings.wiring import api as wiring

list_recordings = wiring.list_recordings()


@endpoint(scope="recordings:read", actor="optional", query=ListRecordingsQuery)
def handler(request: Request[ListRecordingsQuery, NoBody]) -> Response[RecordingPage]:
    query = request.query
    offset = None if query.cursor is not None else query.offset or 0
    page = list_recordings(
        tenant_id=request.tenant_id, only=query.filters(), limit=query.limit, offset=offset, cursor=query.cursor
    )
    document = RecordingPage.from_domain(
        page.items, total=page.total, limit=query.limit, offset=offset, next_cursor=page.cursor
    )
    return Response(HTTPStatus.OK, document)
