"""One plain URL for the deployed HTTP API: `python -m tools.local.gateway --port P --upstream URL --home FOLDER`.

It passes messages on as they came, compressed or not, and keeps the limits of an HTTP API, which the emulator does not
know: 10,240 bytes of request line and headers, 10 MB of content, 30 seconds for the function.
Source: API Gateway Developer Guide, "Quotas for configuring and running an HTTP API".
"""

import argparse
import asyncio
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from tools.local.stage import Stage

# These belong to one connection, not to the message (RFC 9110, 7.6.1).
HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
# Headers that aiohttp adds to a request without them. A function would see headers that no caller sent.
ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
MAX_HEAD_BYTES: Final = 10_240
MAX_BODY_BYTES: Final = 10 * 1024 * 1024
INTEGRATION_SECONDS: Final = 30.0
# Longer heads are read as well, so that the error is API Gateway's and not aiohttp's.
READ_HEAD_BYTES: Final = 65_536


def passed_on(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Return the headers that belong to the message, repeated ones kept."""
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def head_bytes(request: web.Request) -> int:
    """Return the size of the request line and the headers."""
    line = f"{request.method} {request.raw_path} HTTP/1.1\r\n".encode()
    return len(line) + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)


async def content(request: web.Request) -> bytes | None:
    """Read the content, or return None if it is larger than API Gateway takes.

    API Gateway reads all of it before it calls the function.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    read = bytearray()
    async for chunk in request.content.iter_chunked(65_536):
        read += chunk
        if len(read) > MAX_BODY_BYTES:
            return None
    return bytes(read)


def message(status: int, text: str) -> web.Response:
    """Return a response of the gateway itself."""
    return web.json_response({"message": text}, status=status)


class Gateway:
    """Passes every request to the API in `home/api_id`, which it reads each time: a deployment may change it."""

    def __init__(self, upstream: str, home: Path, *, seconds: float = INTEGRATION_SECONDS) -> None:
        self._upstream = upstream
        self._home = home
        self._api_id_file = home / "api_id"
        self._seconds = seconds
        self._client: ClientSession | None = None

    async def start(self, port: int) -> int:
        """Listen on a port of this machine and return it. 0 takes any free port."""
        # The emulator ends a connection that has been idle for 5 s, maybe just when it would be used again; and none
        # waits for another to end.
        self._client = ClientSession(
            connector=TCPConnector(keepalive_timeout=2, limit=0),
            timeout=ClientTimeout(total=None, connect=60),
            auto_decompress=False,
        )
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.forward)
        Stage(self._home / "stage.json", self._home / "access.log").install(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1,
            # Requests are passed on unchanged.
            auto_decompress=False,
            max_line_size=READ_HEAD_BYTES,
            max_field_size=READ_HEAD_BYTES,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Handle one request."""
        if head_bytes(request) > MAX_HEAD_BYTES:
            return message(431, "Request Header Fields Too Large")
        body = await content(request)
        if body is None:
            return message(413, "Request Entity Too Large")
        if not self._api_id_file.exists():
            return web.Response(status=503, text="The API is not deployed yet.\n", headers={"Retry-After": "5"})
        try:
            async with asyncio.timeout(self._seconds):
                return await self._send(request, body)
        except TimeoutError:
            # The function continues, as on AWS.
            return message(503, "Service Unavailable")
        except ClientError as error:
            return web.Response(status=502, text=f"The local API cannot be reached: {error}\n")

    async def _send(self, request: web.Request, body: bytes) -> web.StreamResponse:
        assert self._client is not None
        api_id = self._api_id_file.read_text().strip()
        async with self._client.request(
            request.method,
            URL(f"{self._upstream}/_aws/execute-api/{api_id}/$default{request.raw_path}", encoded=True),
            headers=passed_on(CIMultiDict(request.headers)),
            skip_auto_headers=ADDED,
            data=body if request.body_exists else None,
            allow_redirects=False,
        ) as response:
            # Whole, as API Gateway does: an interrupted response is an error, not a shorter response.
            got = await response.read()
        headers = passed_on(CIMultiDict(response.headers))
        if request.method != "HEAD":
            # aiohttp sets it. For a HEAD it is the length of the omitted content.
            headers.popall("Content-Length", None)
        return web.Response(status=response.status, headers=headers, body=got)


async def serve(gateway: Gateway, port: int) -> None:
    """Serve until stopped."""
    await gateway.start(port)
    try:
        await asyncio.Event().wait()
    finally:
        await gateway.stop()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m tools.local.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--home", type=Path, required=True, help="the stack's folder: api_id, stage.json, access.log")
    parser.add_argument("--seconds", type=float, default=INTEGRATION_SECONDS, help="how long a function is waited for")
    args = parser.parse_args()
    try:
        asyncio.run(serve(Gateway(args.upstream, args.home, seconds=args.seconds), args.port))
    except KeyboardInterrupt:
        # A signal stops it like this.
        pass


if __name__ == "__main__":
    main()
