"""GET /api/v1/recordings/{id}/access: list who was given a download URL."""

from http import HTTPStatus

from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.requests import ListAccessQuery, NoBody
from recordings.http.responses.access import AccessPage
from recordings.wiring import api as wiring

list_access = wiring.list_access()


@endpoint(scope="recordings:audit", query=ListAccessQuery, actor="optional")
def handler(request: Request[ListAccessQuery, NoBody]) -> Response[AccessPage]:
    query = request.query
    page = list_access(
        tenant_id=request.tenant_id, recording_id=request.recording_id(), limit=query.limit, cursor=query.cursor
    )
    return Response(HTTPStatus.OK, AccessPage.from_domain(page.items, limit=query.limit, next_cursor=page.cursor))
