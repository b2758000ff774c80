"""A proxy between deployed functions and all that they call, which kills the caller at a chosen call.

Each function reaches AWS, R2 and Cloudflare through an address of its own, so that the proxy knows who calls. The
worker that a call came from is found by its end of the connection, and killed as an operating system kills: nothing in
it runs any more, no `finally`, no answer. What is deployed has no part in it.
"""

import asyncio
import os
import re
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from tools.local.processes import function_of
from tools.local.relay import PIECE, Relay, forwarded, length_of, place_of, waits_for_leave

# Bodies up to here are read before they are passed on: they tell whose call it is. Larger ones are a file's parts.
MAX_REPORTED = 1024 * 1024
CLOUDFLARE = "/client/v4/"
# In a call to Step Functions or DynamoDB: the operation.
TARGET = re.compile(r"(?im)^x-amz-target:\s*\S+\.(\w+)")


class End(StrEnum):
    """How a call ends."""

    BEFORE = "dies before the effect"
    AFTER = "dies after the effect"
    # The caller lives, and does not hear of what it did.
    LOST = "hears no answer"


@dataclass
class Crash:
    """One call that ends badly: which function's, how, and which of its calls (counted from 0) that hold a name.

    Without names every call of the function counts.
    """

    function: str
    end: End
    nth: int = 0
    names: tuple[str, ...] = ()
    # What it struck, once it has.
    struck: str | None = field(default=None, compare=False)


class Crashes(Relay):
    """`urls` is where each function finds AWS and, under Cloudflare's path, Cloudflare."""

    def __init__(self, *, aws: str, cloudflare: str, functions: Mapping[str, str]) -> None:
        """`functions`: their names in AWS by those of the template."""
        super().__init__()
        self._aws, self._cloudflare, self._functions = place_of(aws), place_of(cloudflare), functions
        self._guard = threading.Lock()
        self._armed: list[Crash] = []
        self.urls: dict[str, str] = {}
        self.struck: list[Crash] = []

    def arm(self, crash: Crash) -> None:
        with self._guard:
            self._armed.append(crash)

    def disarm(self, crash: Crash) -> None:
        """It strikes no more, if it has not."""
        with self._guard:
            self._armed = [one for one in self._armed if one is not crash]

    def calm(self) -> None:
        """Nothing strikes any more."""
        with self._guard:
            self._armed.clear()

    async def _begin(self) -> None:
        for name in self._functions:
            self.urls[name] = await self._listen(partial(self._serve, name))

    async def _serve(self, function: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = length_of(head) or 0
        if waits_for_leave(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(length) if length <= MAX_REPORTED else b""
        crash = self._strikes(function, head, body)
        if crash is not None and crash.end is End.BEFORE:
            await self._kill(function, writer)
            return
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        source, other = await asyncio.open_connection(*(self._cloudflare if CLOUDFLARE in target else self._aws))
        try:
            other.write(forwarded(head) + body)
            if length > MAX_REPORTED:
                await _pass(reader, other, length)
            await other.drain()
            response = (await source.readuntil(b"\r\n\r\n")).decode("latin-1")
            if crash is not None:
                # It has answered: what was asked for is done.
                if crash.end is End.AFTER:
                    await self._kill(function, writer)
                writer.transport.abort()
                return
            writer.write(forwarded(response))
            await _pass(source, writer, 0 if method == "HEAD" else length_of(response))
        finally:
            other.close()

    def _strikes(self, function: str, head: str, body: bytes) -> Crash | None:
        text = head + body.decode("latin-1")
        with self._guard:
            for crash in self._armed:
                if crash.function != function or (crash.names and not any(name in text for name in crash.names)):
                    continue
                if crash.nth:
                    crash.nth -= 1
                    continue
                self._armed.remove(crash)
                reported = TARGET.search(head)
                crash.struck = reported[1] if reported else head.split(" HTTP/", 1)[0].partition("?")[0]
                self.struck.append(crash)
                return crash
        return None

    async def _kill(self, function: str, writer: asyncio.StreamWriter) -> None:
        """Kill the worker at the other end of a connection."""
        (_, port), (_, recording) = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        pid = await asyncio.to_thread(holder_of, port, recording)
        # Never anybody but a worker of this very function.
        if pid is not None and function_of(pid) == self._functions[function]:
            os.kill(pid, signal.SIGKILL)
        writer.transport.abort()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, length: int | None) -> None:
    """Hand on a body of this length (None: all until the end)."""
    at = 0
    while length is None or at < length:
        piece = await source.read(PIECE if length is None else min(PIECE, length - at))
        if not piece:
            break
        sink.write(piece)
        await sink.drain()
        at += len(piece)
    await sink.drain()


def holder_of(port: int, other: int) -> int | None:
    """The process that holds the end `port` of a loopback connection to `other` (proc(5), net/tcp and fd)."""
    ends = (f"0100007F:{port:04X}", f"0100007F:{other:04X}")
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    inode = next((row[9] for row in rows if (row[1], row[2]) == ends), None)
    for process in Path("/proc").iterdir():
        if inode is None or not process.name.isdecimal():
            continue
        try:
            held = [os.readlink(one) for one in (process / "fd").iterdir()]
        except OSError:
            # It has ended, or is another user's.
            continue
        if f"socket:[{inode}]" in held:
            return int(process.name)
    return None
