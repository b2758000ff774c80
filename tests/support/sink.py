"""A bucket that keeps nothing but what proves a file: its SHA-256, its parts' MD5s, and its first part.

It speaks as much of S3 as a multipart upload needs, so that a file larger than any memory can be sent to it. It refuses
what R2 refuses: a wrong Content-MD5, parts of unequal size, and ETags that are not those of the parts.
"""

import base64
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape


class Sink:
    """One upload into one object, over HTTP on a free port of the loopback interface."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sizes: dict[int, int] = {}
        self.md5s: dict[int, str] = {}
        self.first = b""
        self.etag: str | None = None
        self.most_held = 0
        self._digest = hashlib.sha256()
        self._hashed = 0
        # Parts that came before the ones ahead of them.
        self._early: dict[int, bytes] = {}
        sink = self

        class Bound(Handler):
            pass

        Bound.sink = sink
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def size(self) -> int:
        return sum(self.sizes.values())

    @property
    def sha256(self) -> str:
        """Of all parts in their order."""
        with self.lock:
            assert not self._early, f"parts {sorted(self._early)} came without those before them"
            return self._digest.hexdigest()

    def take(self, number: int, content: bytes) -> str:
        """One part; gives its MD5."""
        digest = hashlib.md5(content).hexdigest()
        with self.lock:
            assert number not in self.md5s, f"part {number} was sent twice"
            self.sizes[number], self.md5s[number] = len(content), digest
            self._early[number] = content
            self.most_held = max(self.most_held, len(self._early))
            if number == 1:
                self.first = content
            while self._hashed + 1 in self._early:
                self._hashed += 1
                self._digest.update(self._early.pop(self._hashed))
        return digest

    def complete(self, reported: dict[int, str]) -> str | None:
        """The whole object's ETag, or None when these are not its parts."""
        with self.lock:
            sizes = [self.sizes[number] for number in sorted(self.sizes)]
            if reported != self.md5s or len(set(sizes[:-1])) > 1:
                return None
            whole = hashlib.md5(b"".join(bytes.fromhex(self.md5s[number]) for number in sorted(self.md5s)))
            self.etag = f"{whole.hexdigest()}-{len(sizes)}"
            return self.etag

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Handler(BaseHTTPRequestHandler):
    """S3's calls of a multipart upload; the path is /bucket/key."""

    protocol_version = "HTTP/1.1"
    sink: Sink

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if "uploads" in self.query:
            return self._xml("InitiateMultipartUploadResult", "<UploadId>upload</UploadId>")
        parts = re.findall(r"<Part>(.*?)</Part>", body, re.DOTALL)
        reported = {
            int(re.findall(r"<PartNumber>(\d+)", part)[0]): re.findall(r"([0-9a-f]{32})", part)[0] for part in parts
        }
        etag = self.sink.complete(reported)
        if etag is None:
            return self._error(400, "InvalidPart")
        return self._xml("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if base64.b64decode(self.headers["Content-MD5"]) != hashlib.md5(content).digest():
            return self._error(400, "BadDigest")
        return self._answer(200, headers={"ETag": f'"{self.sink.take(int(self.query["partNumber"][0]), content)}"'})

    def do_GET(self) -> None:
        if "uploads" in self.query:
            return self._xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        if "uploadId" in self.query:
            if self.sink.etag is not None:
                return self._error(404, "NoSuchUpload")
            with self.sink.lock:
                parts = "".join(
                    f"<Part><PartNumber>{n}</PartNumber><ETag>{md5}</ETag><Size>{self.sink.sizes[n]}</Size></Part>"
                    for n, md5 in sorted(self.sink.md5s.items())
                )
            return self._xml("ListPartsResult", f"<IsTruncated>false</IsTruncated>{parts}")
        first, last = (int(one) for one in self.headers["Range"].removeprefix("bytes=").split("-"))
        assert last < len(self.sink.first), "only the first part is kept"
        headers = {"Content-Range": f"bytes {first}-{last}/{self.sink.size}", "ETag": f'"{self.sink.etag}"'}
        return self._answer(206, self.sink.first[first : last + 1], headers)

    def do_HEAD(self) -> None:
        if self.sink.etag is None:
            return self._answer(404)
        return self._answer(200, headers={"ETag": f'"{self.sink.etag}"', "Content-Length": str(self.sink.size)})

    def do_DELETE(self) -> None:
        self._answer(204)

    def _xml(self, name: str, inner: str) -> None:
        self._answer(200, f"<{name}>{inner}</{name}>".encode(), {"Content-Type": "application/xml"})

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{escape(code)}</Code></Error>".encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""
