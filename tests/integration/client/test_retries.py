from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import httpx
import pytest
from recordings_client.effects import Answer
from recordings_client.errors import NoAnswer, RecordingsError
from recordings_client.policy import Policy

from tests.integration.client.support import NOON, RECORDING, ROOM, Caller, Reply, Script, data, problem

STARTED = data({"id": "rec_1", "room_id": "room_1", "status": "recording", "started_at": NOON}, 201)
DELETED = data({"id": "rec_1", "deleted": True, "deleted_at": NOON})
WITHOUT_KEYS = Policy(new_key=None, jitter=lambda: 1.0)
PASSING: list[Reply | Exception] = [
    problem(502, "provider_error"),
    problem(503, "throttled", retry_after="2"),
    problem(503, "provider_throttled"),
    problem(504, "provider_timeout"),
    problem(409, "request_in_progress"),
    Reply(429, {"message": "Too Many Requests"}),
    Reply(503, {"message": "Service Unavailable"}),
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("cut"),
]
LASTING = [
    problem(400, "invalid_request"),
    problem(404, "room_not_found"),
    problem(409, "room_already_recording"),
    # Kept under the key: sent again it would only be said again.
    problem(409, "concurrent_update"),
    problem(422, "idempotency_key_reused"),
    problem(500, "internal_error"),
]


def named(reply: Reply | Exception) -> str:
    return type(reply).__name__ if isinstance(reply, Exception) else str(reply.status)


@pytest.mark.parametrize("trouble", PASSING, ids=named)
def test_a_temporary_failure_is_retried(trouble: Reply | Exception) -> None:
    api = Script(trouble, trouble, data(RECORDING))

    assert Caller("blocking")(api, "get", "rec_1")

    assert len(api.requests) == 3


@pytest.mark.parametrize(
    ("name", "given", "response"),
    [
        ("get", {}, data(RECORDING)),
        ("put_room", {"name": "A"}, data(ROOM)),
        ("delete", {}, DELETED),
        ("start", {}, STARTED),
    ],
)
def test_a_retry_sends_the_same_request(call: Caller, name: str, given: dict[str, Any], response: Reply) -> None:
    api = Script(PASSING[0], httpx.ReadTimeout("slow"), response)

    assert call(api, name, "1", **given)

    assert len(api.requests) == 3
    assert len({(request.method, request.url, request.content) for request in api.requests}) == 1


@pytest.mark.parametrize("trouble", LASTING, ids=lambda reply: reply.body["code"])
def test_a_permanent_error_is_raised_at_once(call: Caller, trouble: Reply) -> None:
    api = Script(trouble)

    with pytest.raises(RecordingsError):
        call(api, "delete", "1")

    assert len(api.requests) == 1
    assert call.slept == []


@pytest.mark.parametrize("trouble", PASSING, ids=named)
def test_a_post_without_a_key_is_not_retried(trouble: Reply | Exception) -> None:
    api = Script(trouble)

    with pytest.raises(RecordingsError):
        Caller("blocking")(api, "start", "1", policy=WITHOUT_KEYS)

    assert api.keys == [None]


@pytest.mark.parametrize("name", ["stop", "sync", "archive", "restore", "recover", "undelete"])
def test_every_post_needs_a_key_for_retries(call: Caller, name: str) -> None:
    api = Script(PASSING[0])

    with pytest.raises(RecordingsError):
        call(api, name, "1", policy=WITHOUT_KEYS)

    assert api.keys == [None]


def test_a_post_with_the_callers_key_is_retried_with_it(call: Caller) -> None:
    api = Script(PASSING[0], STARTED)

    call(api, "start", "room_1", idempotency_key="mine", policy=WITHOUT_KEYS)

    assert api.keys == ["mine", "mine"]


def test_retries_share_a_key_and_each_call_has_a_new_one(call: Caller) -> None:
    api = Script(httpx.ReadTimeout("slow"), PASSING[0], STARTED)

    call(api, "start", "room_1")
    call(api, "start", "room_1")

    assert sorted(Counter(api.keys).values()) == [1, 3]
    assert None not in api.keys


def test_a_delete_retried_after_a_lost_response_has_its_key(call: Caller) -> None:
    api = Script(httpx.ReadError("cut"), DELETED)

    call(api, "delete", "rec_1")

    assert len(set(api.keys)) == 1
    assert None not in api.keys


def test_pauses_grow_and_end(call: Caller) -> None:
    api = Script(httpx.ConnectError("refused"))

    with pytest.raises(NoAnswer) as caught:
        call(api, "get", "rec_1", policy=Policy(retries=6, jitter=lambda: 1.0))

    assert call.slept == [0.5, 1, 2, 4, 8, 8]
    assert len(api.requests) == 7
    assert caught.value.status is None
    assert caught.value.detail == "The API did not answer: refused."


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.25), (0.5, 0.375), (1.0, 0.5)])
def test_pauses_have_jitter(call: Caller, jitter: float, pause: float) -> None:
    call(Script(PASSING[0], data(RECORDING)), "get", "rec_1", policy=Policy(jitter=lambda: jitter))

    assert call.slept == [pause]


def test_retry_after_is_obeyed(call: Caller) -> None:
    api = Script(problem(503, "throttled", retry_after="7"), data(RECORDING))

    call(api, "get", "rec_1")

    assert call.slept == [7]


def test_a_retry_after_above_the_limit_is_raised(call: Caller) -> None:
    api = Script(problem(503, "throttled", retry_after="31"), data(RECORDING))

    with pytest.raises(RecordingsError) as caught:
        call(api, "get", "rec_1")

    assert caught.value.retry_after == 31
    assert call.slept == []


def test_retries_can_be_switched_off(call: Caller) -> None:
    api = Script(PASSING[0])

    with pytest.raises(RecordingsError):
        call(api, "get", "rec_1", policy=Policy(retries=0))

    assert len(api.requests) == 1


@pytest.mark.parametrize("given", ["", "soon", "-1", "1.5", "٣", "Tue, 99 Foo 2026"])
def test_a_malformed_retry_after_is_none(given: str) -> None:
    assert Answer(503, httpx.Headers([(b"Retry-After", given.encode())])).retry_after is None


@pytest.mark.parametrize("ahead", [3600, -60])
def test_retry_after_may_be_a_date(ahead: int) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead)
    before = datetime.now(UTC)

    seconds = Answer(503, httpx.Headers({"Retry-After": format_datetime(at, usegmt=True)})).retry_after

    assert seconds is not None
    least, most = ((at - now).total_seconds() for now in (datetime.now(UTC), before))
    assert max(0, least) <= seconds <= max(0, most)


def test_an_error_of_the_token_function_reaches_the_caller(call: Caller) -> None:
    asked = count()

    def token() -> str:
        next(asked)
        raise LookupError("no token today")

    with pytest.raises(LookupError):
        call(Script(data(RECORDING)), "get", "rec_1", token=token)

    assert next(asked) == 1
