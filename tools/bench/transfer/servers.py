"""The two ends of a copy, over HTTP or TLS: a file, and a bucket that keeps nothing but what proves a file.

They do as little as a server can, because they share the machine with what is measured. The file is computed, any range
of it. The bucket verifies the MD5 of each part, as R2 does, and throws the part away.
"""

import argparse
import base64
import hashlib
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from tools.bench.transfer.certificate import Certificate
from tools.local.standin.media import Media

SEED: Final = "bench"
MODIFIED: Final = "Tue, 01 Sep 2026 10:00:00 GMT"


def file_of(size: int) -> Media:
    """The file that the source serves."""
    return Media(b"", SEED, wanted_size=size, exact=True)


@dataclass(slots=True)
class Upload:
    """An unfinished upload: sizes and MD5s by part number, and the first part, which holds what kind of file it is."""

    key: str
    parts: dict[int, tuple[int, str]] = field(default_factory=dict)
    first: bytes = b""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of the bucket."""

    size: int
    etag: str
    first: bytes


class Handler(BaseHTTPRequestHandler):
    """Keeps its connection. TLS begins in the connection's own thread."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    certificate: ClassVar[Certificate | None] = None

    def setup(self) -> None:
        if self.certificate is not None:
            self.request = self.certificate.server_context().wrap_socket(self.request, server_side=True)
        super().setup()

    def respond(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the output is the URL."""


class Source(Handler):
    """Serves one file, whole or a range of it."""

    file: ClassVar[Media]
    etag: ClassVar[str]

    def do_GET(self) -> None:
        first, last = 0, self.file.size - 1
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": f'"{self.etag}"', "Last-Modified": MODIFIED, "Accept-Ranges": "bytes"}
        if found:
            first, last = int(found[1]), min(int(found[2] or last), last)
            headers["Content-Range"] = f"bytes {first}-{last}/{self.file.size}"
        self.send_response(206 if found else 200)
        for name, value in (headers | {"Content-Length": str(last - first + 1)}).items():
            self.send_header(name, value)
        self.end_headers()
        for block in self.file.read(first, last):
            self.wfile.write(block)


class Bucket(Handler):
    """As much of S3 as a multipart upload and its verification need. The path is /bucket/key."""

    lock: ClassVar[threading.Lock] = threading.Lock()
    uploads: ClassVar[dict[str, Upload]] = {}
    objects: ClassVar[dict[str, Stored]] = {}
    buffer: bytearray = bytearray()

    @property
    def key(self) -> str:
        return urlsplit(self.path).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with self.lock:
            if "uploads" in self.query:
                upload_id = f"upload-{len(self.uploads)}"
                self.uploads[upload_id] = Upload(self.key)
                return self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")
            upload = self.uploads[self.query["uploadId"]]
            named = re.findall(r"<Part>(.*?)</Part>", body, re.DOTALL)
            md5s = [re.findall(r"[0-9a-f]{32}", part)[0] for part in named]
            if md5s != [md5 for _, (_, md5) in sorted(upload.parts.items())]:
                return self._error(400, "InvalidPart")
            whole = hashlib.md5(b"".join(bytes.fromhex(md5) for md5 in md5s)).hexdigest()
            stored = Stored(sum(size for size, _ in upload.parts.values()), f"{whole}-{len(md5s)}", upload.first)
            self.objects[upload.key] = stored
            upload.first = b""
        return self._xml("CompleteMultipartUploadResult", f"<ETag>&quot;{stored.etag}&quot;</ETag>")

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        if len(self.buffer) != length:
            self.buffer = bytearray(length)
        if self.rfile.readinto(self.buffer) != length:
            # The client has given up.
            self.close_connection = True
            return None
        digest = hashlib.md5(self.buffer)
        if "Content-MD5" in self.headers and base64.b64decode(self.headers["Content-MD5"]) != digest.digest():
            return self._error(400, "BadDigest")
        number = int(self.query["partNumber"])
        with self.lock:
            upload = self.uploads[self.query["uploadId"]]
            upload.parts[number] = length, digest.hexdigest()
            if number == 1:
                upload.first = bytes(self.buffer)
        return self.respond(200, {"ETag": f'"{digest.hexdigest()}"'})

    def do_GET(self) -> None:
        if "uploads" in self.query:
            return self._xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        if "uploadId" in self.query:
            with self.lock:
                parts = "".join(
                    f"<Part><PartNumber>{number}</PartNumber><ETag>{md5}</ETag><Size>{size}</Size></Part>"
                    for number, (size, md5) in sorted(self.uploads[self.query["uploadId"]].parts.items())
                )
            return self._xml("ListPartsResult", f"<IsTruncated>false</IsTruncated>{parts}")
        if "list-type" in self.query or self.key not in self.objects:
            return self._xml("ListBucketResult", "<IsTruncated>false</IsTruncated><KeyCount>0</KeyCount>")
        stored = self.objects[self.key]
        first, last = (int(text) for text in self.headers["Range"].removeprefix("bytes=").split("-"))
        if last >= len(stored.first):
            return self._error(416, "InvalidRange")
        headers = {"Content-Range": f"bytes {first}-{last}/{stored.size}", "ETag": f'"{stored.etag}"'}
        return self.respond(206, headers, stored.first[first : last + 1])

    def do_HEAD(self) -> None:
        stored = self.objects.get(self.key)
        if stored is None:
            return self.respond(404)
        headers = {"ETag": f'"{stored.etag}"', "Content-Length": str(stored.size), "Last-Modified": MODIFIED}
        return self.respond(200, headers)

    def do_DELETE(self) -> None:
        self.objects.pop(self.key, None)
        self.respond(204)

    def _xml(self, name: str, inner: str) -> None:
        self.respond(200, {"Content-Type": "application/xml"}, f"<{name}>{inner}</{name}>".encode())

    def _error(self, status: int, code: str) -> None:
        self.respond(status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode())


class Server(ThreadingHTTPServer):
    """A thread for each connection. A client that goes away is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve on a free port until the process is ended. The first line of the output is the URL."""
    top = argparse.ArgumentParser(prog="python -m tools.bench.transfer.servers")
    top.add_argument("what", choices=["source", "bucket"])
    top.add_argument("--size", type=int, default=0)
    top.add_argument("--part-size", type=int, default=0)
    top.add_argument("--certificate", type=Path)
    args = top.parse_args()
    if args.certificate is not None:
        Handler.certificate = Certificate.of(args.certificate)
    handler: type[Handler] = Bucket
    if args.what == "source":
        Source.file = file_of(args.size)
        Source.etag = Source.file.etag(args.part_size)
        handler = Source
    with Server(("127.0.0.1", 0), handler) as server:
        scheme = "https" if args.certificate is not None else "http"
        print(f"{scheme}://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
