"""The frame around every HTTP function.

`@endpoint` checks scope, tenant, size and schema before the function runs, logs under the request's id, and turns what
the function returns or raises into an API Gateway response (HTTP API, payload format 2.0). What a function takes is
named in the decorator, so that forgetting it means "takes nothing" and not "takes anything".
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from recordings.domain.errors import (
    InfrastructureError,
    Invalid,
    ProviderThrottled,
    RecordingNotFound,
    RecordingsError,
    RoomAlreadyRecording,
    RoomIsRecording,
    RoomNotFound,
    Throttled,
)
from recordings.domain.ids import is_recording_id, is_room_id
from recordings.http.claims import scopes_of, tenant_of
from recordings.http.problems import Problem, detail_of, invalid, status_of
from recordings.http.schemas import NUMBERS, TOGETHER, Document, Nothing, blocker_view
from recordings.observability import count, identify, invocation, logger
from recordings.ports.repositories import IdempotencyKeys
from recordings.ports.system import Clock
from recordings.request_context import request_context, request_seconds
from recordings.startup import resume_collection

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Event = dict[str, Any]
type LambdaHandler = Callable[[Event, LambdaContext], Event]

WHOLE: Final = re.compile(r"-?\d{1,4000}", re.ASCII)
FIELD: Final = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
# msgspec quotes the value that is none of an enumeration's, however long it is.
ENUM: Final = re.compile(r"Invalid enum value .*", re.DOTALL)
# The name under which a handler says what it takes.
TAKES: Final = "takes"
LARGEST_BODY: Final = 64 * 1024
LONGEST_KEY: Final = 128


@dataclass(frozen=True, slots=True)
class Request[Q: Struct, B: Struct]:
    """What a function is given: checked query and body, the tenant, and the rest on request."""

    event: Event
    tenant_id: str
    query: Q
    body: B
    raw_body: bytes

    def path(self, name: str) -> str:
        found = str((self.event.get("pathParameters") or {}).get(name, ""))
        # A lone surrogate cannot be sent to the store; replaced, it makes an id that nothing has.
        return found.encode("utf-8", "replace").decode()

    def room_id(self) -> str:
        """The room that the path names. Raises RoomNotFound for what can be no room's id, in the words of the store."""
        found = self.path("id")
        if not is_room_id(found):
            raise RoomNotFound("there is no such room")
        return found

    def recording_id(self) -> str:
        """The recording that the path names. Raises RecordingNotFound for what can be no recording's id."""
        found = self.path("id")
        if not is_recording_id(found):
            raise RecordingNotFound("there is no such recording")
        return found

    def header(self, name: str) -> str | None:
        return _header(self.event, name)

    def has_scope(self, scope: str) -> bool:
        """Whether the caller's token has a scope besides the one that the route asks for."""
        return scope in scopes_of(self.event)


@dataclass(frozen=True, slots=True)
class Response:
    status: HTTPStatus
    body: Document
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Where the answers of repeatable requests are kept."""

    keys: IdempotencyKeys
    clock: Clock


@dataclass(frozen=True, slots=True)
class Takes:
    """What a handler takes, for whoever describes the API. `body` None: raw bytes."""

    scope: str | None
    query: type[Struct] | None
    body: type[Struct] | None
    idempotent: bool


def endpoint[Q: Struct, B: Struct](
    *,
    scope: str | None,
    query: type[Q] | None = Nothing,  # type: ignore[assignment]  # a function that names no query takes none
    body: type[B] | None = Nothing,  # type: ignore[assignment]
    idempotency: Idempotency | None = None,
) -> Callable[[Callable[[Request[Q, B]], Response]], LambdaHandler]:
    """Make a Lambda handler.

    `scope` None: no token (the function checks its caller itself); `query` None: any, unread; `body` None: raw bytes.
    """

    def frame(handle: Callable[[Request[Q, B]], Response]) -> LambdaHandler:
        @logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
        @wraps(handle)
        def handler(event: Event, context: "LambdaContext") -> Event:
            request_id = str(event["requestContext"].get("requestId", ""))
            seconds = request_seconds(context.get_remaining_time_in_millis() / 1000)
            with invocation(context):
                try:
                    tenant_id = "" if scope is None else _tenant(event, scope)
                    identify(tenant_id=tenant_id, **_ids(event))
                    raw = _raw_body(event, limited=body is not None)
                    request = Request(
                        event=event,
                        tenant_id=tenant_id,
                        query=cast(Q, Nothing()) if query is None else _query(query, event),
                        body=cast(B, Nothing()) if body is None else _body(body, raw),
                        raw_body=raw,
                    )
                    with request_context(tenant_id=tenant_id or None, seconds=seconds):
                        return _once(idempotency, request, lambda: _answer(handle, request, request_id), request_id)
                except Problem as problem:
                    return _refusal(problem, request_id)
                except RecordingsError as error:
                    return _failed(error, request_id)
                except Exception:
                    logger.exception("failed")
                    # What AWS or R2 refused for good is counted where it is translated; a bug only here.
                    count("InfrastructureErrors")
                    return _bug(request_id)

        setattr(handler, TAKES, Takes(scope, query, body, idempotency is not None))
        resume_collection()
        return handler

    return frame


def _answer[Q: Struct, B: Struct](
    handle: Callable[[Request[Q, B]], Response], request: Request[Q, B], request_id: str
) -> tuple[Event, bool]:
    """The answer, and whether it holds: whether a repeat of the same request is to be given it again."""
    try:
        response = handle(request)
    except Problem as problem:
        return _refusal(problem, request_id), not problem.is_passing
    except RecordingsError as error:
        return _failed(error, request_id), not _told(error).is_passing
    return _reply(response.status, "application/json", response.body, request_id, response.headers), True


def _once[Q: Struct, B: Struct](
    idempotency: Idempotency | None,
    request: Request[Q, B],
    answer: Callable[[], tuple[Event, bool]],
    request_id: str,
) -> Event:
    """Answer, or give the answer kept under the request's Idempotency-Key."""
    key = request.header("idempotency-key")
    if idempotency is None or key is None:
        return answer()[0]
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise invalid("Idempotency-Key", f"must be 1 to {LONGEST_KEY} printable ASCII characters")
    keys, clock = idempotency.keys, idempotency.clock
    http = request.event["requestContext"]["http"]
    asked = [http["method"], request.event.get("rawPath", ""), request.event.get("rawQueryString", "")]
    fingerprint = hashlib.sha256("\n".join(asked).encode("utf-8", "replace") + b"\n" + request.raw_body).hexdigest()
    kept = keys.begin(request.tenant_id, key, fingerprint=fingerprint, now=clock())
    if kept is not None:
        return {**kept, "headers": {**kept["headers"], "x-request-id": request_id}}
    try:
        given, holds = answer()
    except Exception:
        _release(idempotency, request, key)
        raise
    if holds:
        _keep(idempotency, request, key, given)
    else:
        # Nothing came of it: the caller's next try must be a real one.
        _release(idempotency, request, key)
    return given


def _keep[Q: Struct, B: Struct](idempotency: Idempotency, request: Request[Q, B], key: str, given: Event) -> None:
    try:
        idempotency.keys.finish(request.tenant_id, key, answer=given, now=idempotency.clock())
    except Exception:
        # The work is done, and its answer must reach the caller; a repeat finds the key free after a minute.
        logger.exception("answer not kept")


def _release[Q: Struct, B: Struct](idempotency: Idempotency, request: Request[Q, B], key: str) -> None:
    try:
        idempotency.keys.forget(request.tenant_id, key)
    except Exception:
        # Why the work failed is what the caller must hear; the key is free after a minute.
        logger.exception("key not released")


def _tenant(event: Event, scope: str) -> str:
    if scope not in scopes_of(event):
        raise Problem(HTTPStatus.FORBIDDEN, "scope_missing", f"The access token lacks the scope {scope}.")
    return tenant_of(event)


def _ids(event: Event) -> dict[str, str]:
    """The room or the recording that the path names, if it can be the id of one."""
    found = str((event.get("pathParameters") or {}).get("id", ""))
    if "/recordings/{id}" in event.get("routeKey", ""):
        return {"recording_id": found} if is_recording_id(found) else {}
    return {"room_id": found} if is_room_id(found) else {}


def _header(event: Event, name: str) -> str | None:
    headers = event.get("headers") or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name), None)


def _raw_body(event: Event, *, limited: bool) -> bytes:
    """The bytes as the caller sent them: signatures are checked on these."""
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    except ValueError:
        # Characters outside ASCII raise this, a wrong length its subclass binascii.Error.
        raise invalid("body", "could not be decoded") from None
    if limited and len(raw) > LARGEST_BODY:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", f"The body is over {LARGEST_BODY} bytes.")
    return raw


def _query[Q: Struct](model: type[Q], event: Event) -> Q:
    raw = event.get("rawQueryString")
    if raw is None:
        pairs = [*(event.get("queryStringParameters") or {}).items()]
    else:
        pairs = parse_qsl(raw, keep_blank_values=True)
    repeatable = {name for name, kind in get_type_hints(model).items() if get_origin(kind) is list}
    given: dict[str, object] = {}
    for name, value in pairs:
        if name in repeatable:
            given[name] = [*cast("list[str]", given.get(name, [])), value]
        elif name in given:
            raise invalid(name, "is given more than once")
        else:
            # Plain digits only: int() would also take " 5", "+5", "5_0" and digits of other scripts.
            given[name] = int(value) if name in NUMBERS and WHOLE.fullmatch(value) else value
    try:
        return msgspec.convert(given, model)
    except msgspec.ValidationError as error:
        raise _fault(error, "query") from error


def _body[B: Struct](model: type[B], raw: bytes) -> B:
    try:
        return msgspec.json.decode(raw.strip() or b"{}", type=model)
    except msgspec.ValidationError as error:
        raise _fault(error, "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("body", "is not valid JSON") from error


def _fault(error: msgspec.ValidationError, place: str) -> Problem:
    """What msgspec says of the first field at fault, in the contract's shape."""
    named = FIELD.fullmatch(str(error))
    if named is not None:
        return invalid(named[2], "is not known" if named[1] == "contains unknown" else "is required")
    text, _, path = str(error).rpartition(" - at `$")
    if not text:
        text, path = path, ""
    text = ENUM.sub("none of the values that it may have", text)
    inside = re.match(r"\.(\w+)", path)
    if text == TOGETHER:
        return invalid("cursor", "cannot be given together with offset")
    return invalid(inside[1] if inside else place, f"is not as it must be: {text[0].lower()}{text[1:]}")


def _told(error: RecordingsError) -> Problem:
    """A domain error as the caller hears it."""
    extra: dict[str, object] = {}
    if isinstance(error, RoomAlreadyRecording | RoomIsRecording):
        extra["recording"] = blocker_view(error.blocker) if error.blocker else None
    if isinstance(error, Invalid):
        extra["errors"] = [{"field": error.field, "message": detail_of(error)}]
    if isinstance(error, Throttled | ProviderThrottled):
        extra["retry_after"] = error.retry_after
    return Problem(status_of(error), error.code, detail_of(error), **extra)


def _failed(error: RecordingsError, request_id: str) -> Event:
    """The answer to a domain error. Call it where the error is handled: one that is no refusal is logged whole."""
    if isinstance(error, InfrastructureError):
        logger.exception("failed")
        return _bug(request_id)
    return _refusal(_told(error), request_id)


def _refusal(problem: Problem, request_id: str) -> Event:
    logger.info("refused", code=problem.code, reason=problem.detail)
    extra = dict(problem.extra)
    after = extra.pop("retry_after", None)
    document = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "code": problem.code,
        "detail": problem.detail,
        "request_id": request_id,
        **extra,
    }
    headers = {} if after is None else {"retry-after": str(after)}
    return _reply(problem.status, "application/problem+json", document, request_id, headers)


def _bug(request_id: str) -> Event:
    problem = Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side; the request id leads to the cause.",
    )
    return _refusal(problem, request_id)


def _reply(status: HTTPStatus, content_type: str, body: Document, request_id: str, headers: Mapping[str, str]) -> Event:
    ours = {"content-type": content_type, "cache-control": "no-store", "x-request-id": request_id}
    return {"statusCode": int(status), "headers": {**ours, **headers}, "body": json.dumps(body)}


def listed(rows: Sequence[Document], meta: Document) -> Document:
    """The envelope of a list."""
    return {"data": list(rows), "meta": meta}
