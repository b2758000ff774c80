"""The base of the tests' HTTP proxies: a thread that listens and passes messages on."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PIECE = 64 * 1024
MAX_HEAD = 64 * 1024


class Relay:
    """A server in a thread, inside a `with` block. Each request has its own connection."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def is_idle(self) -> bool:
        """Whether no connection is served."""
        return not self._tasks

    async def _begin(self) -> None:
        raise NotImplementedError

    async def _listen(self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> str:
        """Serve every connection to a free port, and return its URL."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await serve(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                writer.transport.abort()
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=MAX_HEAD)
        self._servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        for server in self._servers:
            for listening in server.sockets:
                self._loop.remove_reader(listening.fileno())
        # A connection that was accepted a moment ago gets its transport in the next turns of the loop. In a server that
        # has closed it would get none, and stay open.
        await _turns()
        for server in self._servers:
            server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        for server in self._servers:
            server.abort_clients()
            await server.wait_closed()
        # A closed transport needs one more turn of the loop. An open one would show up as a warning in other tests.
        await _turns()


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def place_of(url: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def length_of(head: str) -> int | None:
    """Return the length of the body; None if the end of the connection ends it."""
    length = re.search(r"(?im)^content-length:\s*(\d+)", head)
    if length:
        return int(length[1])
    return None if head.startswith("HTTP/") else 0


def waits_for_leave(head: str) -> bool:
    """Whether the sender waits for 100 Continue before the body."""
    return re.search(r"(?im)^expect:", head) is not None and bool(length_of(head))


def forwarded(head: str) -> bytes:
    """Return the head for the other side: one request for each connection, without 100 Continue."""
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    kept = [line for line in lines if line.partition(":")[0].lower() not in ("connection", "keep-alive", "expect")]
    return "\r\n".join([first, *kept, "Connection: close"]).encode("latin-1") + b"\r\n\r\n"
