"""An HTTP proxy before an S3 service, which makes faults: broken connections, error answers, single wrong bits.

Bytes go through as they come and are never kept. Each request has a connection of its own.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tools.local.relay import MAX_HEAD, PIECE, Relay, forwarded, length_of, place_of, waits_for_leave

# An error with its usual status: which of them S3's clients repeat depends on both.
SLOW_DOWN, INTERNAL, UNAVAILABLE = (503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable")


@dataclass
class Flip:
    """One bit that is wrong in a call's body: which `operation`, in its request or its answer, at which byte."""

    operation: str
    at: int
    times: int = 1


@dataclass
class Faults:
    """What goes wrong from now on."""

    # Mean number of bytes until a connection breaks; 0: none does.
    cut_every: int = 0
    error_rate: float = 0.0
    errors: tuple[tuple[int, str], ...] = (INTERNAL, UNAVAILABLE, SLOW_DOWN)
    # So many calls in a row are answered with SlowDown.
    slow_down: int = 0
    flips: list[Flip] = field(default_factory=list)
    # Calls that are carried out and whose answers get lost, each once for each time that it is named.
    lost: list[str] = field(default_factory=list)
    # Seconds that each piece of a body takes: time enough to meet a copy on its way.
    delay: float = 0.0


@dataclass
class Call:
    """One call as it came, and what became of it: a fault's name, or None."""

    operation: str
    part: int | None
    fault: str | None = None


class _Cut(Exception):
    """The connection is to break now."""


def operation_of(method: str, target: str) -> tuple[str, int | None]:
    """S3's name of a call, and the number of the part it is about."""
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True)
    if "partNumber" in query:
        return "UploadPart", int(query["partNumber"][0])
    by_query = {
        ("POST", "uploads"): "CreateMultipartUpload",
        ("GET", "uploads"): "ListMultipartUploads",
        ("POST", "uploadId"): "CompleteMultipartUpload",
        ("GET", "uploadId"): "ListParts",
        ("DELETE", "uploadId"): "AbortMultipartUpload",
    }
    for (verb, name), operation in by_query.items():
        if verb == method and name in query:
            return operation, None
    named = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return named.get(method, method), None


class Proxy(Relay):
    """`url` is where clients find it; `faults` may be changed at any time."""

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        super().__init__()
        self._upstream = place_of(upstream)
        self._random = random.Random(seed)
        self.url = ""
        self.faults = Faults()
        self.calls: list[Call] = []

    def counts(self) -> Counter[str]:
        """How many faults of each kind there were."""
        return Counter(call.fault for call in self.calls if call.fault is not None)

    def faults_of_part(self, number: int) -> int:
        """How many calls that bring this part met a fault."""
        return sum(1 for call in self.calls if call.part == number and call.fault is not None)

    async def _begin(self) -> None:
        self.url = await self._listen(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        call = Call(*operation_of(method, target))
        self.calls.append(call)
        error = self._error()
        if error is not None:
            call.fault = error[1]
            await self._refuse(writer, method, *error)
            return
        cut = self.faults.cut_every
        allowed = self._random.expovariate(1 / cut) if cut else None
        flip = next((one for one in self.faults.flips if one.operation == call.operation and one.times), None)
        if flip is not None:
            flip.times -= 1
            call.fault = "flip"
        other: asyncio.StreamWriter | None = None
        try:
            source, other = await asyncio.open_connection(*self._upstream, limit=MAX_HEAD)
            if waits_for_leave(head):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            other.write(forwarded(head))
            up = flip if method != "GET" else None
            left = await self._pass(reader, other, length_of(head), allowed, up)
            response = (await source.readuntil(b"\r\n\r\n")).decode("latin-1")
            if call.operation in self.faults.lost:
                self.faults.lost.remove(call.operation)
                raise _Cut
            writer.write(forwarded(response))
            body = 0 if method == "HEAD" else length_of(response)
            await self._pass(source, writer, body, left, flip if method == "GET" else None)
        except _Cut:
            call.fault = "cut"
            writer.transport.abort()
            if other is not None:
                other.transport.abort()
        finally:
            if other is not None:
                other.close()

    def _error(self) -> tuple[int, str] | None:
        if self.faults.slow_down:
            self.faults.slow_down -= 1
            return SLOW_DOWN
        if self._random.random() < self.faults.error_rate:
            return self._random.choice(self.faults.errors)
        return None

    async def _refuse(self, writer: asyncio.StreamWriter, method: str, status: int, code: str) -> None:
        """Answer with an S3 error before the body is read, as a busy S3 does."""
        text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>a fault</Message></Error>'
        body = b"" if method == "HEAD" else text.encode()
        lines = [
            f"HTTP/1.1 {status} {code}",
            "Content-Type: application/xml",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        length: int | None,
        allowed: float | None,
        flip: Flip | None,
    ) -> float | None:
        """Hand on a body of this length (None: all until the end); give how much may still come before the cut."""
        at = 0
        while length is None or at < length:
            piece = await source.read(PIECE if length is None else min(PIECE, length - at))
            if not piece:
                if length is not None:
                    # The sender was killed. Who waits for the rest would wait for ever.
                    raise asyncio.IncompleteReadError(b"", length - at)
                break
            if allowed is not None and at + len(piece) > allowed:
                sink.write(piece[: max(0, int(allowed) - at)])
                raise _Cut
            if flip is not None and at <= flip.at < at + len(piece):
                place = flip.at - at
                piece = piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]
            sink.write(piece)
            await sink.drain()
            at += len(piece)
            if self.faults.delay:
                await asyncio.sleep(self.faults.delay)
        await sink.drain()
        return None if allowed is None else allowed - at
