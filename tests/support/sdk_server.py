"""A RealtimeKit whose routes, requests and responses are those of Cloudflare's official SDK, and nothing of ours."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import sdk

PREFIX = "/client/v4"


class SdkServer(HTTPServer):
    """Responds to each operation with what it was given for it; what the SDK could not have sent is a 422."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        # By operation; None is a 404.
        self.responses: dict[str, Any] = {}
        # The name of each operation that was called and accepted, and what was wrong with the others.
        self.called: list[str] = []
        self.refused: list[str] = []

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PREFIX}"

    def respond(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        """Status and document of the response to one request."""
        url = urlsplit(target)
        path = url.path.removeprefix(PREFIX)
        operation = next((one for one in sdk.operations().values() if one.fits(verb, path)), None)
        if operation is None:
            self.refused.append(f"{verb} {path}")
            return 404, {"success": False, "errors": [{"code": 7000, "message": "No route"}]}
        query = parse_qs(url.query, keep_blank_values=True)
        odd = sdk.sent_misfits(operation, query, json.loads(body) if body else sdk.ABSENT)
        if not headers.get("authorization", "").startswith("Bearer "):
            odd.append("no token")
        if odd:
            self.refused.extend(f"{operation.name}{one}" for one in odd)
            return 422, {"success": False, "error": {"code": 422, "message": ", ".join(odd)}}
        self.called.append(operation.name)
        response = self.responses[operation.name]
        if response is None:
            return 404, {"success": False, "error": {"code": 404, "message": "Not found"}}
        return 200 if verb == "GET" else 201, response


class _Handler(BaseHTTPRequestHandler):
    server: SdkServer

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, document = self.server.respond(self.command, self.path, headers, body)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving_sdk() -> Iterator[SdkServer]:
    """The server, on a free port of this machine."""
    server = SdkServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
