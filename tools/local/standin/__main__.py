"""`python -m tools.local.standin --port P --state-dir DIR --r2-endpoint URL`: serve until stopped."""

import argparse
from pathlib import Path

from aiohttp import web

from tools.local.standin.cloudflare import Api
from tools.local.standin.control import Control
from tools.local.standin.webhooks import Sender
from tools.local.standin.world import World


def application(folder: Path, origin: str, r2_endpoint: str) -> web.Application:
    """Return the stand-in as one aiohttp application. `origin` is its own URL."""
    world = World(folder, origin, r2_endpoint)
    api = Api(world)
    sender = Sender(world, api.files.download_url)
    world.announce = sender.announce
    issuer = f"{origin}/issuer"

    async def configuration(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/.well-known/jwks.json",
                "token_endpoint": f"{issuer}/token",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
            }
        )

    async def keys(request: web.Request) -> web.Response:
        return web.json_response(world.signer.jwks())

    async def token(request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"access_token": world.signer.token(issuer, asked), "token_type": "Bearer"})

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def stop(_: web.Application) -> None:
        world.clear()
        await sender.close()
        world.threads.shutdown(wait=False, cancel_futures=True)

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes(api.routes())
    app.add_routes(Control(world, api, sender).routes())
    app.add_routes(
        [
            web.get("/issuer/.well-known/openid-configuration", configuration),
            web.get("/issuer/.well-known/jwks.json", keys),
            web.post("/issuer/token", token),
            web.get("/health", health),
        ]
    )
    app.on_cleanup.append(stop)
    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m tools.local.standin")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--r2-endpoint", required=True)
    args = parser.parse_args()
    origin = f"http://127.0.0.1:{args.port}"
    web.run_app(
        application(args.state_dir, origin, args.r2_endpoint),
        host="127.0.0.1",
        port=args.port,
        print=None,
        access_log=None,
        shutdown_timeout=1,
    )


if __name__ == "__main__":
    main()
