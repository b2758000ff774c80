"""GET /api/v1/recordings: list the recordings of the tenant, newest first."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint, listed
from recordings.http.schemas import ListQuery, Nothing, row_view
from recordings.wiring import api as wiring

list_recordings = wiring.list_recordings()


@endpoint(scope="recordings:read", query=ListQuery)
def handler(request: Request[ListQuery, Nothing]) -> Response:
    query = request.query
    offset = None if query.cursor is not None else query.offset or 0
    page = list_recordings(
        tenant_id=request.tenant_id, only=query.only(), limit=query.limit, offset=offset, cursor=query.cursor
    )
    meta = {"total": page.total, "limit": query.limit, "offset": offset, "next_cursor": page.cursor}
    return Response(HTTPStatus.OK, listed([row_view(recording) for recording in page.items], meta))
