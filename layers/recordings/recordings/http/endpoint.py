"""The frame around every HTTP function.

`@endpoint` checks scope, tenant, size, query and body before the function runs, logs under the id of the request, and
turns what the function returns or raises into a response of API Gateway (HTTP API, payload format 2.0). The decorator
names what a function takes, so a function that names nothing takes nothing.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args, get_type_hints

from recordings.domain.actor import Actor, SystemPart, system
from recordings.domain.errors import InfrastructureError, RecordingNotFound, RecordingsError, RoomNotFound
from recordings.domain.ids import is_recording_id, is_room_id
from recordings.http.claims import ACTOR_MISSING, actor_of, scopes_of, tenant_of
from recordings.http.idempotency import ApiEvent, ApiResponse, Idempotency, RepeatableRequest, is_passing
from recordings.http.problems import INTERNAL_ERROR, ProblemError, invalid_field
from recordings.http.requests import NoBody, NoQuery, RequestBody, RequestQuery, parse_request, query_parameters
from recordings.http.responses.base import Document, to_json
from recordings.observability import count, identify, invocation, logger
from recordings.request_context import request_context, request_seconds
from recordings.startup import resume_collection

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type LambdaHandler = Callable[[ApiEvent, LambdaContext], ApiResponse]

MAX_BODY_BYTES: Final = 64 * 1024
# The attribute of a handler that holds its Contract.
CONTRACT: Final = "contract"


@dataclass(frozen=True, slots=True)
class Request[Q: RequestQuery, B: RequestBody]:
    """A checked request."""

    event: ApiEvent
    tenant_id: str
    query: Q
    body: B
    raw_body: bytes

    def path(self, name: str) -> str:
        """Return a parameter of the path, or an empty text."""
        found = str((self.event.get("pathParameters") or {}).get(name, ""))
        # A lone surrogate cannot be sent to the table. Replaced, it is an id that nothing has.
        return found.encode("utf-8", "replace").decode()

    def room_id(self) -> str:
        """Return the room id of the path.

        Raises:
            RoomNotFound: no room can have this id
        """
        found = self.path("id")
        if not is_room_id(found):
            raise RoomNotFound("there is no such room")
        return found

    def new_room_id(self) -> str:
        """Return the room id of the path, which the caller chooses.

        Raises:
            ProblemError: 400, no room may have this id
        """
        found = self.path("id")
        if not is_room_id(found):
            raise invalid_field("id", "must be 1 to 128 of A-Z a-z 0-9 _ . : -, and not . or ..")
        return found

    def recording_id(self) -> str:
        """Return the recording id of the path.

        Raises:
            RecordingNotFound: no recording can have this id
        """
        found = self.path("id")
        if not is_recording_id(found):
            raise RecordingNotFound("there is no such recording")
        return found

    def header(self, name: str) -> str | None:
        """Return a header, or None. `name` is in lower case."""
        headers = self.event.get("headers") or {}
        return next((str(value) for key, value in headers.items() if key.lower() == name), None)

    def has_scope(self, scope: str) -> bool:
        """Return whether the access token has a scope besides the one that the route requires."""
        return scope in scopes_of(self.event)


@dataclass(frozen=True, slots=True)
class Response[D: Document = Document]:
    """What a function returns. A handler's annotation names the documents, which are built at import."""

    status: HTTPStatus
    body: D
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contract:
    """What a handler takes and returns. tools/openapi describes the API with it.

    `scope` None: no access token. `query` None: any query string. `body` None: raw bytes. `actor`: see `endpoint`.
    """

    scope: str | None
    query: type[RequestQuery] | None
    body: type[RequestBody] | None
    responses: tuple[type[Document], ...]
    is_idempotent: bool
    actor: str


def endpoint[Q: RequestQuery, B: RequestBody, D: Document](
    *,
    scope: str | None,
    query: type[Q] | None = NoQuery,  # type: ignore[assignment]  # mypy does not allow a default for a type variable
    body: type[B] | None = NoBody,  # type: ignore[assignment]
    idempotency: Idempotency | None = None,
    actor: SystemPart | Literal["caller", "optional"] = "caller",
) -> Callable[[Callable[[Request[Q, B]], Response[D]]], LambdaHandler]:
    """Make a Lambda handler.

    `scope` None: without access token, the function checks its caller itself. `query` None: any query string, which is
    not parsed. `body` None: raw bytes of any length. `actor` is to whom changes belong: the caller, whom the token must
    name, or a part of the system. For a function that only reads, the token need not name the caller.
    """

    def frame(handle: Callable[[Request[Q, B]], Response[D]]) -> LambdaHandler:
        responses = _documents(handle)
        _build(query, body, *responses)

        @logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
        @wraps(handle)
        def handler(event: ApiEvent, context: "LambdaContext") -> ApiResponse:
            request_id = str(event["requestContext"].get("requestId", ""))
            seconds = request_seconds(context.get_remaining_time_in_millis() / 1000)
            with invocation(context):
                try:
                    tenant_id = "" if scope is None else _tenant(event, scope)
                    caller = _actor(event, actor, request_id)
                    identify(tenant_id=tenant_id, **_actor_keys(caller), **_ids(event))
                    request = _request(event, tenant_id, query, body)
                    with request_context(tenant_id=tenant_id or None, actor=caller, seconds=seconds):
                        return _respond(handle, request, request_id, idempotency)
                except ProblemError as problem:
                    return _refused(problem, request_id)
                except RecordingsError as error:
                    return _failed(error, request_id)
                except Exception:
                    logger.exception("failed")
                    # What AWS or R2 refuses permanently is counted where it is translated. Here only bugs are counted.
                    count("InfrastructureErrors")
                    return _internal_error(request_id)

        setattr(handler, CONTRACT, Contract(scope, query, body, responses, idempotency is not None, actor))
        resume_collection()
        return handler

    return frame


def _documents(handle: Callable[..., Any]) -> tuple[type[Document], ...]:
    """Return the documents that a handler's annotation names: `-> Response[Download | DownloadPending]` names two."""
    annotation = get_type_hints(handle).get("return")
    found: list[type[Document]] = []
    for named in get_args(annotation):
        found += get_args(named) or (named,)
    return tuple(found)


def _build(*models: type[Document] | type[RequestQuery] | type[RequestBody] | None) -> None:
    """Build the validators of these models now. All others wait for their first use, which is never in most functions.

    At import, Lambda gives a function more CPU than later.
    """
    for model in models:
        if model is not None:
            model.model_rebuild()


def _respond[Q: RequestQuery, B: RequestBody, D: Document](
    handle: Callable[[Request[Q, B]], Response[D]],
    request: Request[Q, B],
    request_id: str,
    idempotency: Idempotency | None,
) -> ApiResponse:
    key = request.header("idempotency-key")
    if idempotency is None or key is None:
        return _process(handle, request, request_id)[0]
    repeatable = RepeatableRequest.of(request.event, tenant_id=request.tenant_id, key=key, raw_body=request.raw_body)
    return idempotency.respond(repeatable, request_id, lambda: _process(handle, request, request_id))


def _process[Q: RequestQuery, B: RequestBody, D: Document](
    handle: Callable[[Request[Q, B]], Response[D]], request: Request[Q, B], request_id: str
) -> tuple[ApiResponse, bool]:
    """Call the function. Return its response, and whether the response settles the request."""
    try:
        response = handle(request)
    except ProblemError as problem:
        return _refused(problem, request_id), not is_passing(problem)
    except RecordingsError as error:
        return _failed(error, request_id), not is_passing(ProblemError.from_domain(error))
    return _response(response.status, "application/json", response.body, request_id, response.headers), True


def _tenant(event: ApiEvent, scope: str) -> str:
    if scope not in scopes_of(event):
        raise ProblemError(HTTPStatus.FORBIDDEN, "scope_missing", f"The access token lacks the scope {scope}.")
    return tenant_of(event)


def _actor(event: ApiEvent, actor: SystemPart | Literal["caller", "optional"], request_id: str) -> Actor | None:
    """Return to whom the changes of this request belong; None for one that only reads and whose token names nobody.

    Raises:
        ProblemError: 403 `actor_missing`: the token does not name the caller
    """
    if actor not in {"caller", "optional"}:
        return system(cast(SystemPart, actor))
    caller = actor_of(event, request_id)
    if caller is None and actor == "caller":
        raise ProblemError(HTTPStatus.FORBIDDEN, "actor_missing", ACTOR_MISSING)
    return caller


def _actor_keys(actor: Actor | None) -> dict[str, str | None]:
    """Return the log's keys of an actor."""
    if actor is None:
        return {}
    return {"actor_type": actor.type, "actor_id": actor.id, "client_id": actor.client_id}


def _ids(event: ApiEvent) -> dict[str, str]:
    """Return the id of the path for the log, if a room or a recording can have it."""
    found = str((event.get("pathParameters") or {}).get("id", ""))
    if "/recordings/{id}" in event.get("routeKey", ""):
        return {"recording_id": found} if is_recording_id(found) else {}
    return {"room_id": found} if is_room_id(found) else {}


def _request[Q: RequestQuery, B: RequestBody](
    event: ApiEvent, tenant_id: str, query: type[Q] | None, body: type[B] | None
) -> Request[Q, B]:
    """Check size, query and body.

    Raises:
        ProblemError: 413 `body_too_large` or 400 `invalid_request`
    """
    raw_body = _raw_body(event)
    if body is not None and len(raw_body) > MAX_BODY_BYTES:
        detail = f"The body is over {MAX_BODY_BYTES} bytes."
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)
    parsed_query, parsed_body = parse_request(
        query or cast(type[Q], NoQuery),
        [] if query is None else _parameters(event),
        body or cast(type[B], NoBody),
        b"" if body is None else raw_body,
    )
    return Request(event=event, tenant_id=tenant_id, query=parsed_query, body=parsed_body, raw_body=raw_body)


def _parameters(event: ApiEvent) -> list[tuple[str, str]]:
    raw_query = event.get("rawQueryString")
    if raw_query is None:
        return [*(event.get("queryStringParameters") or {}).items()]
    return query_parameters(raw_query)


def _raw_body(event: ApiEvent) -> bytes:
    """Return the bytes that the caller sent. Signatures are checked on them."""
    body = event.get("body") or ""
    try:
        return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    except ValueError:
        # Characters outside ASCII raise it. A wrong length raises its subclass binascii.Error.
        raise invalid_field("body", "could not be decoded") from None


def _failed(error: RecordingsError, request_id: str) -> ApiResponse:
    """Return the response to a domain error. Call it where the error is handled: it logs the current exception."""
    if isinstance(error, InfrastructureError):
        logger.exception("failed")
        return _internal_error(request_id)
    return _refused(ProblemError.from_domain(error), request_id)


def _internal_error(request_id: str) -> ApiResponse:
    return _refused(ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", INTERNAL_ERROR), request_id)


def _refused(problem: ProblemError, request_id: str) -> ApiResponse:
    fields: dict[str, Any] = {"fields": [error.field for error in problem.errors]} if problem.errors else {}
    logger.info("refused", code=problem.code, reason=problem.detail, **fields)
    headers = {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}
    return _response(problem.status, "application/problem+json", problem.document(request_id), request_id, headers)


def _response(
    status: HTTPStatus, content_type: str, body: Document, request_id: str, headers: Mapping[str, str]
) -> ApiResponse:
    common = {"content-type": content_type, "cache-control": "no-store", "x-request-id": request_id}
    return {"statusCode": int(status), "headers": {**common, **headers}, "body": to_json(body)}
