"""Stands between the deployed functions and everything that they call, and makes the faults.

Each function has an address of its own here, so that it is known who calls; each request has a connection of its own.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Final

from tools.bench.soak.calls import CLOUDFLARE_PATH, Call, call_of
from tools.bench.soak.faults import Chooser, Fault
from tools.local.relay import PIECE, Relay, forwarded, length_of, place_of, waits_for_leave

# Bodies up to here are read before they are passed on; larger ones are a file's parts.
MAX_REPORTED: Final = 1024 * 1024
# Longer than the time-out of every call but those to the stores (5 s), which wait for a minute.
HANG_SECONDS: Final = 8.0
SLOW_SECONDS: Final = 2.0
# A call that is made again within this time has been repeated, and not left to somebody else.
REPEAT_SECONDS: Final = 30.0

MAX_TARGET: Final = 300

type Key = tuple[str, Call, str]


class FaultyRelay(Relay):
    """`urls` is where each function finds AWS, R2 and, under Cloudflare's path, Cloudflare."""

    def __init__(
        self, *, aws: str, cloudflare: str, functions: Mapping[str, str], r2_bucket: str, chooser: Chooser
    ) -> None:
        super().__init__()
        self._aws, self._cloudflare, self._functions = place_of(aws), place_of(cloudflare), functions
        self._r2_bucket, self._chooser = r2_bucket, chooser
        self._waiting: dict[Key, tuple[float, str]] = {}
        self.urls: dict[str, str] = {}
        # When each function last called somebody.
        self.last_call: dict[str, float] = {}
        # Every strike: when (Unix time), whose call, which, to where, and the fault.
        self.log: list[tuple[float, str, str, str, str]] = []
        # Struck calls that the same function made again, and that then went through.
        self.repeated: Counter[tuple[Call, str]] = Counter()

    async def _begin(self) -> None:
        for name in self._functions:
            self.urls[name] = await self._listen(partial(self._serve, name))

    async def _serve(self, function: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = length_of(head) or 0
        if waits_for_leave(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(length) if length <= MAX_REPORTED else b""
        call = call_of(head, body, r2_bucket=self._r2_bucket)
        self.last_call[function] = time.monotonic()
        key = (function, call, _digest(head, body))
        fault = self._chooser.choose(call)
        if fault is None:
            self._went_through(key)
        else:
            self._waiting[key] = (time.monotonic(), fault.name)
            target = head.split(" ", 2)[1][:MAX_TARGET]
            self.log.append((round(time.time(), 3), function, str(call), target, fault.name))
        await self._pass_on(head, body, length, fault, reader, writer)

    def _went_through(self, key: Key) -> None:
        at, name = self._waiting.pop(key, (0.0, ""))
        if name and time.monotonic() - at <= REPEAT_SECONDS:
            self.repeated[key[1], name] += 1

    async def _pass_on(
        self,
        head: str,
        body: bytes,
        length: int,
        fault: Fault | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        kind = fault.kind if fault is not None else ""
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        if kind in {"drop", "hang"}:
            await asyncio.sleep(HANG_SECONDS if kind == "hang" else 0)
            writer.transport.abort()
            return
        if fault is not None and kind == "answer":
            if length > MAX_REPORTED:
                await _copy(reader, None, length)
            writer.write(_answer(fault, with_body=method != "HEAD"))
            await writer.drain()
            return
        sends, gets = kind == "flip" and method == "PUT", kind == "flip" and method == "GET"
        place = self._cloudflare if target.startswith(CLOUDFLARE_PATH) else self._aws
        source, other = await asyncio.open_connection(*place)
        try:
            other.write(forwarded(head) + (flipped(body) if sends else body))
            if length > MAX_REPORTED:
                await _copy(reader, other, length, flip=sends)
            await other.drain()
            response = (await source.readuntil(b"\r\n\r\n")).decode("latin-1")
            if kind == "lost":
                writer.transport.abort()
                return
            if kind == "slow":
                await asyncio.sleep(SLOW_SECONDS)
            reported = 0 if method == "HEAD" else length_of(response)
            writer.write(forwarded(response))
            if kind == "cut":
                await _copy(source, writer, None if reported is None else reported // 2)
                await writer.drain()
                writer.transport.abort()
                return
            await _copy(source, writer, reported, flip=gets)
        finally:
            other.close()


def _digest(head: str, body: bytes) -> str:
    """What makes a call the same call when it is made again; signatures and dates differ each time."""
    return hashlib.sha256(head.split("\r\n", 1)[0].encode() + body).hexdigest()


def flipped(piece: bytes) -> bytes:
    """The bytes with one wrong bit, in their middle."""
    at = len(piece) // 2
    return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :] if piece else piece


def _answer(fault: Fault, *, with_body: bool) -> bytes:
    body = fault.body.encode()
    lines = [
        f"HTTP/1.1 {fault.status} Fault",
        f"Content-Type: {fault.content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in fault.headers),
        "Connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body if with_body else b"")


async def _copy(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter | None, length: int | None, *, flip: bool = False
) -> None:
    """Hand on a body of this length (None: all until the end), the first piece with a wrong bit if asked for."""
    at = 0
    while length is None or at < length:
        piece = await source.read(PIECE if length is None else min(PIECE, length - at))
        if not piece:
            break
        if sink is not None:
            sink.write(flipped(piece) if flip and at == 0 else piece)
            await sink.drain()
        at += len(piece)
    if sink is not None:
        await sink.drain()
