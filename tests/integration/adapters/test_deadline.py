"""Calls to AWS and Cloudflare within the time that a request has."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from recordings import request_context as context_of_requests
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.cloudflare import transport
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.writes import jittered_pause
from recordings.adapters.system import new_id, new_nonce, now
from recordings.domain.errors import ProviderTimeout, RoomAlreadyRecording, Throttled
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.idempotency import Idempotency
from recordings.http.requests import NoQuery, StartRecordingBody
from recordings.http.responses.actions import StartedRecordingResponse
from recordings.request_context import REQUEST_SECONDS, request_context
from recordings.services.recordings.start_recording import StartRecording
from tests.support.builders import a_room
from tests.support.context import Context
from tests.support.fakes import FakeRateLimiter
from tests.support.secrets import known_token
from tests.support.table import a_table

type Answer = Callable[[socket.socket], None]


@contextmanager
def a_server(response: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback: its port, and the requests that it received. `answer` handles each connection."""
    asked: list[bytes] = []
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not over.is_set() and (head := connection.recv(65536)):
                if b" HTTP/1.1\r\n" in head:
                    asked.append(head)
                    response(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def hang(connection: socket.socket) -> None:
    """No answer: wait until the caller has given up."""
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    """An answer that comes a byte at a time, and never ends: no single read times out."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        # The pace of the fault, not a wait: it ends when the caller hangs up.
        time.sleep(0.02)


def a_client(port: int, **config: Any) -> Any:
    return bounded(
        boto3.client(
            "stepfunctions",
            endpoint_url=f"http://127.0.0.1:{port}",
            config=Config(retries={"mode": "standard", "total_max_attempts": 3}, **config),
        )
    )


def seconds_of(do: Callable[[], object], error: type[Exception]) -> float:
    began = time.monotonic()
    with pytest.raises(error):
        do()
    return time.monotonic() - began


# ---------------------------------------------------------------- AWS


def test_a_call_to_aws_ends_by_the_deadline() -> None:
    with a_server(hang) as (port, asked):
        client = a_client(port, connect_timeout=2, read_timeout=5)
        with request_context(tenant_id=None, seconds=1.5):
            took = seconds_of(lambda: client.send_task_success(taskToken="t", output="{}"), Throttled)
        assert len(asked) == 1
        # A pause of botocore's own, a second at most, comes before the try that is not made any more.
        assert took < 3


def test_after_the_deadline_no_call_is_made() -> None:
    with a_server(hang) as (port, asked), request_context(tenant_id=None, seconds=0):
        client = a_client(port, connect_timeout=2, read_timeout=5)
        assert seconds_of(lambda: client.send_task_success(taskToken="t", output="{}"), Throttled) < 1
        assert asked == []


def test_without_a_deadline_a_clients_own_time_outs_hold() -> None:
    with a_server(hang) as (port, _):
        client = a_client(port, connect_timeout=0.2, read_timeout=0.2)
        assert seconds_of(lambda: client.send_task_success(taskToken="t", output="{}"), ReadTimeoutError) < 5


def test_a_busy_table_is_not_waited_for_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr("time.sleep", paused.append)
    with request_context(tenant_id=None, seconds=0), pytest.raises(Throttled):
        jittered_pause(1)
    assert paused == []


# ---------------------------------------------------------------- Cloudflare


@pytest.fixture
def rate_limiter() -> FakeRateLimiter:
    return FakeRateLimiter()


@pytest.fixture
def kit_of(monkeypatch: pytest.MonkeyPatch, rate_limiter: FakeRateLimiter) -> Callable[[int], RealtimeKitClient]:
    def made(port: int) -> RealtimeKitClient:
        monkeypatch.setenv("CLOUDFLARE_API_URL", f"http://127.0.0.1:{port}/client/v4")
        return RealtimeKitClient(rate_limiter, token=known_token())

    monkeypatch.setattr(transport, "STORING_SECONDS", 0.1)
    return made


@pytest.mark.parametrize("response", [hang, drip])
def test_a_call_to_cloudflare_ends_by_the_deadline(
    response: Answer, kit_of: Callable[[int], RealtimeKitClient]
) -> None:
    with a_server(response) as (port, asked), request_context(tenant_id=None, seconds=1):
        assert seconds_of(lambda: kit_of(port).get("c1"), ProviderTimeout) < 2
        assert len(asked) == 1


def test_what_changes_something_is_not_sent_without_time_for_its_answer(
    kit_of: Callable[[int], RealtimeKitClient], rate_limiter: FakeRateLimiter
) -> None:
    with a_server(hang) as (port, asked), request_context(tenant_id=None, seconds=2):
        kit = kit_of(port)
        assert seconds_of(lambda: kit.stop("c1"), ProviderTimeout) < 1
        assert (asked, rate_limiter.spent) == ([], 0)


def test_a_body_that_drips_is_given_up_without_a_deadline_too(
    kit_of: Callable[[int], RealtimeKitClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(transport, "READ_SECONDS", 0.3)
    with a_server(drip) as (port, asked):
        assert seconds_of(lambda: kit_of(port).get("c1"), ProviderTimeout) < 2
        assert len(asked) == 1


# ---------------------------------------------------------------- a whole request


class Cloudflare:
    """Answers as Cloudflare does, when it answers at all."""

    def __init__(self) -> None:
        self.slow: Answer | None = None
        self.running = False

    def __call__(self, connection: socket.socket) -> None:
        if self.slow is not None:
            self.slow(connection)
            return
        data = {"id": "c1", "status": "RECORDING", "start_reason": {"reason": "API_CALL"}}
        document = {"success": True, "data": data} if self.running else {"success": False, "error": {"code": 404}}
        self.running = True
        body = json.dumps(document).encode()
        status = b"200 OK" if document["success"] else b"404 Not Found"
        connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


def an_event() -> dict[str, Any]:
    return {
        "rawPath": "/api/v1/rooms/room_1/recordings/start",
        "headers": {"idempotency-key": "key"},
        "pathParameters": {"id": "room_1"},
        "requestContext": {
            "requestId": "request-1",
            "http": {"method": "POST"},
            "authorizer": {"jwt": {"claims": {"scope": "recordings:write", "tenant_id": "tenant_1", "sub": "user"}}},
        },
    }


@pytest.mark.parametrize("slow", [hang, drip])
def test_a_start_at_a_hanging_cloudflare_ends_in_time_and_leaves_the_room_free(
    slow: Answer, kit_of: Callable[[int], RealtimeKitClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second for Cloudflare, and moto's table as much time as it wants.
    monkeypatch.setattr(transport, "STORING_SECONDS", REQUEST_SECONDS - 1)
    cloudflare = Cloudflare()
    with a_table(), a_server(cloudflare) as (port, _):
        rooms, recordings = DynamoRooms(), DynamoRecordings()
        rooms.add(a_room(id="room_1", tenant_id="tenant_1"))
        start = StartRecording(
            rooms=rooms,
            recordings=recordings,
            provider=kit_of(port),
            clock=now,
            new_id=new_id,
            new_nonce=new_nonce,
        )

        @endpoint(
            scope="recordings:write", body=StartRecordingBody, idempotency=Idempotency(DynamoIdempotencyKeys(), now)
        )
        def handler(request: Request[NoQuery, StartRecordingBody]) -> Response:
            recording = start(tenant_id=request.tenant_id, room_id=request.path("id"), max_duration_seconds=None)
            return Response(HTTPStatus.CREATED, StartedRecordingResponse.from_domain(recording))

        cloudflare.slow = slow
        began = time.monotonic()
        response = handler(an_event(), Context())
        assert response["statusCode"] == 504
        assert json.loads(response["body"])["code"] == "provider_timeout"
        assert time.monotonic() - began < 4
        room = rooms.get("tenant_1", "room_1")
        assert (room.lease_nonce, room.active_recording_id) == (None, None)
        # Neither the room nor the Idempotency-Key is held: the same call does it now.
        monkeypatch.setattr(transport, "STORING_SECONDS", 3)
        cloudflare.slow = None
        response = handler(an_event(), Context())
        assert response["statusCode"] == 201, response["body"]


def test_a_lease_is_released_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    # moto's table as much time as it wants.
    monkeypatch.setattr(context_of_requests, "CLEANUP_SECONDS", 20)
    with a_table():
        rooms = DynamoRooms()
        rooms.add(a_room(id="room_1", tenant_id="tenant_1"))
        until = datetime(2100, 1, 1, tzinfo=UTC)
        rooms.acquire_lock("tenant_1", "room_1", nonce="n", now=now(), until=until)
        with request_context(tenant_id="tenant_1", seconds=0):
            with pytest.raises(Throttled):
                rooms.get("tenant_1", "room_1")
            rooms.release_lock("tenant_1", "room_1", nonce="n")
        rooms.acquire_lock("tenant_1", "room_1", nonce="m", now=now(), until=until)
        with pytest.raises(RoomAlreadyRecording):
            rooms.acquire_lock("tenant_1", "room_1", nonce="o", now=now(), until=until)
