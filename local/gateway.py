"""One plain address for the deployed HTTP API: `python -m local.gateway --port P --upstream URL --home FOLDER`."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from local.stage import Stage

# These belong to one connection, not to the message (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)


def passed_on(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The headers that belong to the message, repeated ones kept."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


def forward_to(upstream: str, api_id_file: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Passes every request to the API named in `api_id_file` (read each time: a deploy may change it)."""
    client: ClientSession | None = None

    async def forward(request: web.Request) -> web.StreamResponse:
        nonlocal client
        if client is None:
            # The emulator ends a connection that has been idle for 5 s, maybe just when it would be used again; and
            # none waits for another to end.
            client = ClientSession(
                connector=TCPConnector(keepalive_timeout=2, limit=0),
                timeout=ClientTimeout(total=None, connect=60),
                auto_decompress=False,
            )
        if not api_id_file.exists():
            return web.Response(status=503, text="The API is not deployed yet.\n", headers={"Retry-After": "5"})
        url = f"{upstream}/_aws/execute-api/{api_id_file.read_text().strip()}/$default{request.raw_path}"
        try:
            async with client.request(
                request.method,
                URL(url, encoded=True),
                headers=passed_on(CIMultiDict(request.headers)),
                data=request.content.iter_chunked(65536) if request.can_read_body else None,
                allow_redirects=False,
            ) as answer:
                response = web.StreamResponse(status=answer.status, headers=passed_on(CIMultiDict(answer.headers)))
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except ClientError as error:
            return web.Response(status=502, text=f"The local API cannot be reached: {error}\n")

    return forward


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m local.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--home", type=Path, required=True, help="the stack's folder: api_id, stage.json, access.log")
    args = parser.parse_args()
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", forward_to(args.upstream, args.home / "api_id"))
    Stage(args.home / "stage.json", args.home / "access.log").install(app)
    web.run_app(app, host="127.0.0.1", port=args.port, print=None)


if __name__ == "__main__":
    main()
