import base64
import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import pytest

from recordings.domain.errors import (
    ConcurrentUpdate,
    IdempotencyKeyReused,
    InfrastructureError,
    InvalidCursor,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    RecordingInProgress,
    RecordingNotArchivable,
    RecordingsError,
    RequestInProgress,
    RoomAlreadyRecording,
    RoomIsRecording,
    RoomNotFound,
    Throttled,
    TierNotOffered,
    TransitionNotAllowed,
)
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import attempt_key
from recordings.http.endpoint import MAX_BODY_BYTES, Response, endpoint
from recordings.http.idempotency import Idempotency
from recordings.http.requests import DownloadRecordingQuery, ListRecordingsQuery, PutRoomBody, StartRecordingBody
from recordings.http.responses.base import Document
from tests.support.builders import a_recording
from tests.support.context import Context

NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
CLAIMS = {"scope": "recordings:read recordings:write", "tenant_id": "tenant-1", "sub": "user-1"}


@pytest.fixture(autouse=True)
def _claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANT_CLAIM", "tenant_id")
    monkeypatch.setenv("ACTOR_CLAIM", "sub")


def an_event(**changes: Any) -> dict[str, Any]:
    """An API Gateway HTTP API event, payload format 2.0."""
    claims = changes.pop("claims", CLAIMS)
    return {
        "version": "2.0",
        "rawPath": "/api/v1/rooms/room_1",
        "rawQueryString": "",
        "headers": {},
        "pathParameters": {"id": "room_1"},
        "requestContext": {
            "requestId": "request-1",
            "http": {"method": "POST"},
            "authorizer": {"jwt": {"claims": claims, "scopes": None}},
        },
        "isBase64Encoded": False,
        **changes,
    }


class AnyDocument(Document):
    data: Any


def ok(_: Any) -> Response:
    return Response(HTTPStatus.OK, AnyDocument(data={}))


def noting(seen: list[Any], what: Callable[[Any], object]) -> Callable[[Any], Response]:
    def handle(request: Any) -> Response:
        seen.append(what(request))
        return ok(request)

    return handle


def raising(error: Exception) -> Callable[[Any], Response]:
    def handle(_: Any) -> Response:
        raise error

    return handle


def call(
    handle: Callable[[Any], Response] = ok,
    *,
    scope: str | None = "recordings:write",
    frame: Mapping[str, Any] | None = None,
    **event: Any,
) -> tuple[int, dict[str, Any], dict[str, str]]:
    response = endpoint(scope=scope, **(frame or {}))(handle)(an_event(**event), Context())
    return response["statusCode"], json.loads(response["body"]), response["headers"]


def fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


# ---------------------------------------------------------------- responses


def test_the_returned_document_is_the_response_body() -> None:
    status, body, headers = call(lambda _: Response(HTTPStatus.CREATED, AnyDocument(data=1), {"location": "/x"}))
    assert (status, body) == (201, {"data": 1})
    assert headers == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-request-id": "request-1",
        "location": "/x",
    }


def test_a_refusal_is_a_problem_document() -> None:
    status, problem, headers = call(raising(RoomNotFound("there is no such room")))
    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == "request-1"
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "room_not_found",
        "detail": "There is no such room.",
        "request_id": "request-1",
    }


def test_an_internal_error_does_not_show_its_cause() -> None:
    status, problem, headers = call(raising(RuntimeError("password=hunter2")))
    assert (status, problem["code"], headers["x-request-id"]) == (500, "internal_error", "request-1")
    assert "hunter2" not in json.dumps(problem)


def test_a_bug_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its alarm stops a deployment. What AWS refuses permanently is counted where it is translated."""
    counted: list[str] = []
    monkeypatch.setattr("recordings.http.endpoint.count", counted.append)
    for error in (RuntimeError(), InfrastructureError(), RoomNotFound("there is no such room"), ProviderTimeout()):
        call(raising(error))
    assert counted == ["InfrastructureErrors"]


def test_a_permanent_refusal_by_aws_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    status, problem, headers = call(raising(InfrastructureError("GetItem failed for good: AccessDeniedException")))
    assert (status, problem["code"], headers.get("retry-after")) == (500, "internal_error", None)
    assert "GetItem" not in json.dumps(problem)
    (line,) = [record for record in caplog.records if record.exc_info]
    assert (line.levelname, line.message) == ("ERROR", "failed")


def test_a_validation_error_of_our_own_is_a_500() -> None:
    def handle(_: Any) -> Response:
        StartRecordingBody.model_validate({"nonsense": 1})
        raise AssertionError

    assert call(handle)[0] == 500


@pytest.mark.parametrize("error", [Throttled(retry_after=7), ProviderThrottled(retry_after=7)])
def test_a_throttled_request_gets_retry_after(error: Exception) -> None:
    status, problem, headers = call(raising(error))
    assert (status, headers["retry-after"]) == (503, "7")
    assert "retry_after" not in problem


def test_a_blocked_request_names_the_recording() -> None:
    blocker = Recording.begin(
        id="rec_1",
        tenant_id="t",
        room_id="room_1",
        room_name="x",
        meeting_id="m",
        cloudflare_recording_id="c",
        origin="auto",
        at=NOON,
        cause="auto_started",
    )
    status, problem, _ = call(raising(RoomAlreadyRecording(blocker=blocker)))
    assert (status, problem["code"]) == (409, "room_already_recording")
    assert problem["recording"] == {
        "id": "rec_1",
        "status": "recording",
        "started_at": "2026-01-06T12:00:00Z",
        "origin": "auto",
    }


def test_an_invalid_cursor_is_an_invalid_request() -> None:
    status, problem, _ = call(raising(InvalidCursor()))
    assert (status, problem["code"], fields(problem)) == (400, "invalid_request", ["cursor"])


# ---------------------------------------------------------------- callers


def test_the_tenant_comes_from_the_token() -> None:
    tenants: list[Any] = []
    call(noting(tenants, lambda request: request.tenant_id))
    assert tenants == ["tenant-1"]


def test_the_longest_tenant_and_room_fit_every_key() -> None:
    tenant = "a" + "@" * 127
    assert call(claims={**CLAIMS, "tenant_id": tenant})[0] == 200
    recording = a_recording(tenant_id=tenant, room_id=":" * 128, attempt=999_999)
    delivered = (
        f"delivered/{quote(tenant, safe='')}/{'%3A' * 128}/8a5d9a5c-1a2b-4c3d-9e8f-0123456789ab_1767700800000.mp4"
    )
    for key in (f"recordings/{attempt_key(recording)}", delivered):
        assert len(key.encode()) <= 1024
    assert len(f"T#{quote(tenant, safe='')}#LIST#{recording.room_id}") <= 2048


@pytest.mark.parametrize("scope", ["", "recordings:read", "recordings:writer"])
def test_a_token_without_the_scope_is_refused(scope: str) -> None:
    status, problem, _ = call(claims={**CLAIMS, "scope": scope})
    assert (status, problem["code"]) == (403, "scope_missing")


def test_a_request_without_an_authorizer_is_refused() -> None:
    status, _, headers = call(requestContext={"requestId": "request-1", "http": {"method": "GET"}})
    assert (status, headers["x-request-id"]) == (403, "request-1")


def test_a_function_without_a_scope_needs_no_token() -> None:
    assert (
        call(
            scope=None,
            frame={"actor": "webhook"},
            requestContext={"requestId": "request-1", "http": {"method": "POST"}},
        )[0]
        == 200
    )


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("[]", "body"),
        ("null", "body"),
        ("\x00", "body"),
        ('{"name": "\\ud800"}', "body"),
        ("\ud800", "body"),
        ("[" * 10_000, "body"),
        ("{}", "name"),
        ('{"name": 1}', "name"),
        ('{"name": "x", "nmae": "x"}', "nmae"),
        ('{"name": "x", "\\u0000": 1}', "\x00"),
        ('{"name": "x", "a` - at `$.b": 1}', "a` - at `$.b"),
    ],
)
def test_an_invalid_body_is_a_400_that_names_the_field(body: str, field: str) -> None:
    status, problem, _ = call(frame={"body": PutRoomBody}, body=body)
    assert (status, problem["code"], fields(problem)) == (400, "invalid_request", [field])


@pytest.mark.parametrize("body", ["%", "é", "a"])
def test_a_body_that_is_not_base64_is_refused(body: str) -> None:
    status, problem, _ = call(body=body, isBase64Encoded=True, frame={"body": PutRoomBody})
    assert (status, problem["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [None, "", "{}", " {} \n"])
def test_no_body_and_an_empty_body_are_the_same(body: str | None) -> None:
    assert call(body=body)[0] == 200
    assert call(body=body, frame={"body": StartRecordingBody})[0] == 200


def test_a_function_that_names_no_query_and_no_body_takes_none() -> None:
    assert fields(call(body='{"x": 1}')[1]) == ["x"]
    assert fields(call(rawQueryString="x=1")[1]) == ["x"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limti=5", "limti"), ("limit=5&limit=5", "limit"), ("limit", "limit"), ("%ff=1", "\ufffd")],
)
def test_an_invalid_query_is_a_400_that_names_the_parameter(query: str, field: str) -> None:
    status, problem, _ = call(rawQueryString=query, frame={"query": ListRecordingsQuery})
    assert (status, problem["code"], fields(problem)) == (400, "invalid_request", [field])


def test_the_function_receives_the_parsed_query_and_body() -> None:
    seen: list[Any] = []
    call(
        noting(seen, lambda request: (request.query.expires_in, request.body.name)),
        frame={"query": DownloadRecordingQuery, "body": PutRoomBody},
        rawQueryString="expires_in=60",
        body=base64.b64encode(b'{"name": "x"}').decode(),
        isBase64Encoded=True,
    )
    assert seen == [(60, "x")]


def test_the_raw_body_has_the_bytes_that_were_sent() -> None:
    sent = b"\xff\x00 {"
    seen: list[Any] = []
    call(
        noting(seen, lambda request: request.raw_body),
        scope=None,
        frame={"body": None},
        body=base64.b64encode(sent).decode(),
        isBase64Encoded=True,
    )
    assert seen == [sent]


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 400), (MAX_BODY_BYTES + 1, 413)])
def test_a_body_over_64_kb_is_refused(size: int, status: int) -> None:
    assert call(body="x" * size)[0] == status


def test_a_path_with_a_lone_surrogate_names_nothing() -> None:
    seen: list[Any] = []
    call(noting(seen, lambda request: request.path("id")), pathParameters={"id": "\ud800\x00"})
    assert seen == ["?\x00"]


# ---------------------------------------------------------------- repeated requests


class StoredResponses:
    """ports.IdempotencyKeys in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[str, Mapping[str, Any] | None]] = {}

    def reserve(self, tenant_id: str, key: str, *, fingerprint: str, now: datetime) -> Mapping[str, Any] | None:
        if (tenant_id, key) not in self.kept:
            self.kept[tenant_id, key] = (fingerprint, None)
            return None
        known, response = self.kept[tenant_id, key]
        if known != fingerprint:
            raise IdempotencyKeyReused
        if response is None:
            raise RequestInProgress
        return response

    def store_response(self, tenant_id: str, key: str, *, response: Mapping[str, Any], now: datetime) -> None:
        self.kept[tenant_id, key] = (self.kept[tenant_id, key][0], json.loads(json.dumps(response)))

    def release(self, tenant_id: str, key: str) -> None:
        del self.kept[tenant_id, key]


@pytest.fixture
def kept() -> StoredResponses:
    return StoredResponses()


def again(
    kept: StoredResponses, handle: Callable[[Any], Response], **event: Any
) -> tuple[int, dict[str, Any], dict[str, str]]:
    frame = {"idempotency": Idempotency(kept, lambda: NOON), "body": StartRecordingBody}
    return call(handle, frame=frame, **{"headers": {"Idempotency-Key": "k"}, **event})


def test_a_repeated_request_gets_the_first_response_under_a_new_request_id(kept: StoredResponses) -> None:
    first = again(kept, lambda _: Response(HTTPStatus.CREATED, AnyDocument(data=1), {"location": "/x"}))
    context = {**an_event()["requestContext"], "requestId": "request-2"}
    second = again(kept, raising(AssertionError()), requestContext=context)
    assert second == (first[0], first[1], {**first[2], "x-request-id": "request-2"})


def test_an_error_response_is_stored_too(kept: StoredResponses) -> None:
    assert again(kept, raising(RoomNotFound()))[0] == 404
    assert again(kept, ok)[0] == 404


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError(), 500), (InfrastructureError(), 500), (ProviderTimeout(), 504), (None, 200)]
)
def test_a_failure_to_store_the_response_does_not_change_it(
    kept: StoredResponses, monkeypatch: pytest.MonkeyPatch, error: Exception | None, status: int
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise Throttled

    monkeypatch.setattr(kept, "release", fails)
    monkeypatch.setattr(kept, "store_response", fails)
    assert again(kept, ok if error is None else raising(error))[0] == status


@pytest.mark.parametrize("error", [RuntimeError(), Throttled()])
def test_a_5xx_is_not_stored(kept: StoredResponses, error: Exception) -> None:
    assert again(kept, raising(error))[0] >= 500
    assert again(kept, ok)[0] == 200


@pytest.mark.parametrize(
    "error",
    [
        ConcurrentUpdate("a start of this room is under way; make the call again"),
        RequestInProgress(),
        RoomAlreadyRecording("a start is under way", blocker=None),
        *(kind() for kind in (Throttled, ProviderThrottled, ProviderTimeout, ProviderError, ProviderRefused)),
    ],
    ids=lambda error: error.code,
)
def test_a_response_that_says_try_again_is_not_stored(kept: StoredResponses, error: RecordingsError) -> None:
    assert again(kept, raising(error))[1]["code"] == error.code
    assert kept.kept == {}
    assert again(kept, ok)[0] == 200
    assert again(kept, raising(AssertionError()))[0] == 200


@pytest.mark.parametrize(
    "error",
    [
        RoomAlreadyRecording("it is being recorded", blocker=a_recording()),
        RoomIsRecording(),
        RecordingInProgress(),
        TransitionNotAllowed(),
        RecordingNotArchivable(),
        TierNotOffered(),
    ],
    ids=lambda error: error.code,
)
def test_a_response_that_settles_the_request_is_stored(kept: StoredResponses, error: RecordingsError) -> None:
    first = again(kept, raising(error))
    assert again(kept, ok)[:2] == first[:2]


@pytest.mark.parametrize(
    "other",
    [
        {"rawPath": "/y"},
        {"body": '{"max_duration_seconds": 60}'},
        {"requestContext": {**an_event()["requestContext"], "http": {"method": "DELETE"}}},
    ],
    ids=["path", "body", "method"],
)
def test_a_key_belongs_to_one_request(kept: StoredResponses, other: dict[str, Any]) -> None:
    again(kept, ok)
    status, problem, _ = again(kept, ok, **other)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert again(kept, raising(AssertionError()))[0] == 200


def test_a_key_belongs_to_one_query(kept: StoredResponses) -> None:
    """No route with a key takes a query today. The first one must not return the response to another query."""
    frame = {"idempotency": Idempotency(kept, lambda: NOON), "query": DownloadRecordingQuery}
    event: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}}
    assert call(ok, frame=frame, **event, rawQueryString="expires_in=60")[0] == 200
    status, problem, _ = call(ok, frame=frame, **event, rawQueryString="expires_in=61")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


def test_the_deployment_names_the_claim_of_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANT_CLAIM", "https://example.com/org")
    tenants: list[Any] = []
    call(noting(tenants, lambda request: request.tenant_id), claims={**CLAIMS, "https://example.com/org": "org-1"})
    assert tenants == ["org-1"]
    assert call(claims=CLAIMS)[1]["code"] == "tenant_missing"


def test_a_key_belongs_to_one_tenant(kept: StoredResponses) -> None:
    again(kept, ok)
    assert again(kept, raising(RoomNotFound()), claims={**CLAIMS, "tenant_id": "tenant-2"})[0] == 404


def test_a_repeat_of_a_running_request_is_refused(kept: StoredResponses) -> None:
    seen: list[Any] = []

    def handle(request: Any) -> Response:
        seen.append(again(kept, raising(AssertionError())))
        return ok(request)

    assert again(kept, handle)[0] == 200
    assert (seen[0][0], seen[0][1]["code"]) == (409, "request_in_progress")


@pytest.mark.parametrize("key", ["", "x" * 129, "é", "a\x7f"])
def test_a_key_is_printable_ascii(kept: StoredResponses, key: str) -> None:
    status, problem, _ = again(kept, ok, headers={"idempotency-key": key})
    assert (status, fields(problem)) == (400, ["Idempotency-Key"])


def test_an_invalid_request_does_not_reserve_its_key(kept: StoredResponses) -> None:
    again(kept, ok, body="{")
    assert kept.kept == {}


RECORDING = "rec_01JBBBBBBBBBBBBBBBBBBBBBBB"


@pytest.mark.parametrize(
    ("route", "path_id", "named"),
    [
        pytest.param("GET /api/v1/recordings/{id}", RECORDING, {"recording_id": RECORDING}, id="recording"),
        pytest.param("GET /api/v1/recordings/{id}", "x" * 5000, {}, id="no id of a recording"),
        pytest.param("POST /api/v1/rooms/{id}/recordings/stop", "room_1", {"room_id": "room_1"}, id="room"),
    ],
)
def test_log_lines_have_the_tenant_and_the_id_of_the_path_of_their_own_request(
    route: str, path_id: str, named: dict[str, str], log: io.StringIO
) -> None:
    handler = endpoint(scope="recordings:read")(raising(RoomNotFound("there is no such room")))
    handler(an_event(routeKey=route, pathParameters={"id": path_id}), Context())
    handler(an_event(routeKey="GET /api/v1/rooms", pathParameters={}, claims={}), Context())
    first, second = (json.loads(line) for line in log.getvalue().splitlines())
    ids = ("tenant_id", "room_id", "recording_id")
    assert {name: first[name] for name in ids if name in first} == {"tenant_id": "tenant-1", **named}
    assert not [name for name in ids if name in second]
