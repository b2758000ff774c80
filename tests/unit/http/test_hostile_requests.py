"""Malicious requests: the response is short, repeats no long input, and is never a 5xx."""

import io
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.domain.errors import (
    ProviderError,
    ProviderFailure,
    ProviderNotFound,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    RecordingNotFound,
    RoomNotFound,
)
from recordings.http.endpoint import Response, endpoint
from recordings.http.idempotency import Idempotency
from recordings.http.problems import FieldError, ProblemError
from recordings.http.requests import (
    DownloadRecordingQuery,
    ListRecordingsQuery,
    ListRoomsQuery,
    PutRoomBody,
    RestoreRecordingBody,
    StartRecordingBody,
)
from recordings.http.responses.base import Document
from tests.support.builders import NOON
from tests.support.context import Context
from tests.support.fakes import Memory, MemoryIdempotencyKeys, MemoryRecordings, MemoryRooms
from tests.support.hostile import CLAIMS, EVENTS

# Thousands of repetitions of code that other tests cover: measuring them would only take time.
pytestmark = pytest.mark.no_cover

LONG = "x" * 60_000


def an_event(**changes: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": "/api/v1/rooms/room_1",
        "rawQueryString": "",
        "headers": {},
        "pathParameters": {"id": "room_1"},
        "requestContext": {
            "requestId": "request-1",
            "http": {"method": "POST"},
            "authorizer": {"jwt": {"claims": CLAIMS, "scopes": ["recordings:write"]}},
        },
        "isBase64Encoded": False,
    } | changes


class AnyDocument(Document):
    data: dict[str, Any]


def ok(_: Any) -> Response:
    return Response(HTTPStatus.OK, AnyDocument(data={}))


def raising(error: Exception) -> Callable[[Any], Response]:
    def handle(_: Any) -> Response:
        raise error

    return handle


def response_to(
    event: dict[str, Any], handle: Callable[[Any], Response] = ok, **frame: Any
) -> tuple[int, dict[str, Any], str]:
    response = endpoint(scope="recordings:write", **frame)(handle)(event, Context())
    return response["statusCode"], json.loads(response["body"]), response["body"]


# ---------------------------------------------------------------- no long input is repeated


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        pytest.param({"body": json.dumps({LONG: 1})}, {"body": StartRecordingBody}, id="a key"),
        pytest.param({"body": json.dumps({"name": "n", LONG: 1})}, {"body": PutRoomBody}, id="a key beside another"),
        pytest.param(
            {"body": json.dumps({"tier": LONG})}, {"body": RestoreRecordingBody}, id="a value of an enumeration"
        ),
        pytest.param({"body": json.dumps({"name": LONG})}, {"body": PutRoomBody}, id="a value"),
        pytest.param(
            {"body": json.dumps({"name": "n", "cloudflare_meeting_id": LONG})}, {"body": PutRoomBody}, id="a meeting id"
        ),
        pytest.param({"rawQueryString": f"{LONG}=1"}, {"query": ListRecordingsQuery}, id="a parameter"),
        pytest.param({"rawQueryString": f"{LONG}=1&{LONG}=2"}, {"query": ListRecordingsQuery}, id="a parameter, twice"),
        pytest.param({"rawQueryString": f"status={LONG}"}, {"query": ListRecordingsQuery}, id="a parameter's value"),
        pytest.param({"rawQueryString": f"created_after={LONG}"}, {"query": ListRecordingsQuery}, id="a time"),
        pytest.param({"rawQueryString": f"cursor={LONG}"}, {"query": ListRecordingsQuery}, id="a cursor"),
        pytest.param({"rawQueryString": f"offset={'9' * 3_999}"}, {"query": ListRecordingsQuery}, id="a number"),
        pytest.param({"pathParameters": {"id": LONG}}, {"handle": lambda r: ok(r.room_id())}, id="a room"),
        pytest.param({"pathParameters": {"id": LONG}}, {"handle": lambda r: ok(r.recording_id())}, id="a recording"),
        pytest.param(
            {"headers": {"idempotency-key": LONG}},
            {"idempotency": Idempotency(MemoryIdempotencyKeys(Memory()), lambda: NOON)},
            id="an Idempotency-Key",
        ),
    ],
)
def test_an_error_does_not_repeat_a_long_input(event: dict[str, Any], frame: dict[str, Any], log: io.StringIO) -> None:
    status, problem, body = response_to(an_event(**event), **frame)

    assert 400 <= status < 500
    assert len(problem["detail"]) <= 300
    assert all(len(one["field"]) <= 64 and len(one["message"]) <= 300 for one in problem.get("errors", []))
    assert len(body) < 1_500
    assert '"refused"' in log.getvalue()
    assert len(log.getvalue()) < 2_000


def test_a_detail_has_at_most_300_characters() -> None:
    for handle in (
        raising(RoomNotFound("x" * 1000)),
        raising(
            ProblemError(HTTPStatus.CONFLICT, "odd", "x" * 1000, errors=[FieldError(field="f" * 99, message="m" * 999)])
        ),
    ):
        _, problem, _ = response_to(an_event(), handle)
        assert len(problem["detail"]) == 300
        assert problem["detail"].endswith("…")
    assert (len(problem["errors"][0]["field"]), len(problem["errors"][0]["message"])) == (64, 300)


@pytest.mark.parametrize("kind", [ProviderError, ProviderNotFound, ProviderRefused, ProviderTimeout, ProviderThrottled])
def test_text_from_cloudflare_is_not_returned(kind: type[ProviderFailure]) -> None:
    status, _, body = response_to(an_event(), raising(kind("Cloudflare answered 500: SECRET of another customer")))
    assert status in {502, 503, 504}
    assert "SECRET" not in body


# ---------------------------------------------------------------- no request is a failure of ours

QUERY = [None, ListRecordingsQuery, ListRoomsQuery, DownloadRecordingQuery]
BODY = [None, StartRecordingBody, PutRoomBody, RestoreRecordingBody]


def listing(request: Any) -> Response:
    """Use everything that a caller can say, as the functions do."""
    memory = Memory()
    query = request.query
    if isinstance(query, ListRecordingsQuery):
        MemoryRecordings(memory).page("acme", query.filters(), limit=query.limit, cursor=query.cursor)
    if isinstance(query, ListRoomsQuery):
        MemoryRooms(memory).list("acme", limit=query.limit, cursor=query.cursor)
    for read in (request.room_id, request.recording_id):
        try:
            read()
        except (RoomNotFound, RecordingNotFound):
            continue
    return ok(request)


@settings(max_examples=400)
@given(event=EVENTS, query=st.sampled_from(QUERY), body=st.sampled_from(BODY))
def test_no_request_causes_a_5xx(event: dict[str, Any], query: Any, body: Any) -> None:
    sent = an_event(**{name: value for name, value in event.items() if name != "claims"})
    sent["requestContext"]["authorizer"] = {"jwt": {"claims": event["claims"], "scopes": None}}

    status, document, text = response_to(
        sent,
        listing,
        query=query,
        body=body,
        idempotency=Idempotency(MemoryIdempotencyKeys(Memory()), lambda: NOON),
    )

    assert status < 500, document
    assert len(text) < 2_000
