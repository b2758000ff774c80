"""An API that answers what a test tells it to, in memory and on a loopback port; and both clients as one."""

import asyncio
import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from recordings_client.client import AsyncClient, Client
from recordings_client.policy import Policy

URL = "https://api.test"
NOON = "2026-01-06T12:00:00Z"

RECORDING = {
    "id": "rec_1",
    "room_id": "room_1",
    "room": {"id": "room_1", "name": "Algebra"},
    "status": "ready",
    "duration_seconds": 1800,
    "size_bytes": 524288000,
    "created_at": NOON,
    "started_at": NOON,
    "stopped_at": "2026-01-06T12:30:00Z",
    "archived_at": None,
    "provider": "r2",
    "failure": None,
    "origin": "api",
    "version": 3,
    "partial": False,
    "progress": None,
    "archive": None,
    "archive_error": None,
    "history": [{"status": "recording", "at": NOON, "cause": "api_start", "actor": None}],
}
ROW = {key: RECORDING[key] for key in ("id", "room_id", "status", "duration_seconds", "size_bytes", "created_at")}
ROOM = {
    "id": "room_1",
    "name": "Algebra",
    "cloudflare_meeting_id": "0191d2f4-0000-7000-8000-000000000000",
    "record_on_start": False,
    "active_recording_id": None,
    "created_at": NOON,
    "updated_at": NOON,
}
LINK = {
    "recording_id": "rec_1",
    "download_url": "https://files.test/rec_1",
    "status": "ready",
    "duration": 1800,
    "file_size": 524288000,
    "provider": "r2",
    "expires_at": "2026-01-06T13:00:00Z",
}
BLOCKER = {"id": "rec_9", "status": "recording", "started_at": NOON, "origin": "auto"}
WAIT = {"recording_id": "rec_1", "status": "processing", "message": "Recording is still being processed."}
ARCHIVED = {"recording_id": "rec_1", "status": "archived", "message": "Recording is archived."}


def a_recording(**changes: object) -> dict[str, Any]:
    return {**RECORDING, **changes}


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def data(document: object, status: int = 200) -> Reply:
    return Reply(status, {"data": document})


def problem(status: int, code: str, *, retry_after: str | None = None, **extra: object) -> Reply:
    document = {"type": "about:blank", "title": "T", "status": status, "code": code, "detail": "Do this.", **extra}
    headers = {"Content-Type": "application/problem+json", "X-Request-Id": "request-1"}
    return Reply(status, document, headers if retry_after is None else {**headers, "Retry-After": retry_after})


class Script:
    """Answers in order, the last one for ever; remembers what was asked. An exception is raised instead."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._replies = list(replies)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.content)

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.requests]


class Caller:
    """One of the two clients, called by the name of a method; an iterator comes back as a list."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.slept: list[float] = []

    def __call__(
        self,
        api: Callable[[httpx.Request], httpx.Response] | None,
        method: str,
        *args: object,
        policy: Policy | None = None,
        token: Any = "secret",
        url: str = URL,
        **kwargs: object,
    ) -> Any:
        transport = None if api is None else httpx.MockTransport(api)
        policy = policy or Policy(jitter=lambda: 1.0)
        if self.kind == "blocking":
            with Client(url, token, policy=policy, sleep=self._sleep, transport=transport) as client:
                found = getattr(client, method)(*args, **kwargs)
                return list(found) if isinstance(found, Iterator) else found

        async def call() -> Any:
            async with AsyncClient(url, token, policy=policy, sleep=self._doze, transport=transport) as client:
                found = getattr(client, method)(*args, **kwargs)
                return await found if inspect.isawaitable(found) else [one async for one in found]

        return asyncio.run(call())

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def _doze(self, seconds: float) -> None:
        self.slept.append(seconds)


type Route = Callable[[BaseHTTPRequestHandler], None]


class _Loopback(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is part of the tests, anything else is not.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Server:
    """A real one. Each route gives its replies in order, the last one for ever; a callable answers by itself."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self._routes: dict[tuple[str, str], list[Reply | Route]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # A slow client is waited for: a connection that ends under it is not what the tests are about.
            timeout = 120

            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                path, _, query = self.path.partition("?")
                server.asked.append((self.command, path, json.loads(raw) if raw else query or None))
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                replies = server._routes.get((self.command, path), [problem(404, "not_found")])
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                if not isinstance(reply, Reply):
                    return reply(self)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = _Loopback(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def route(self, method: str, path: str, replies: Sequence[Reply | Route]) -> None:
        self._routes[method, path] = list(replies)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()
