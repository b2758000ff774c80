"""The stand-in Cloudflare on a free port, in a thread of the test's own process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tools.local.standin.__main__ import application


@contextmanager
def serving(folder: Path, r2_endpoint: str = "http://127.0.0.1:9") -> Iterator[str]:
    """Give the address it is reached under. By default it delivers nowhere: nobody listens on that port."""
    listening = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application(folder, origin, r2_endpoint))
        await runner.setup()
        await web.SockSite(runner, listening).start()
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(20)
        yield origin
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
