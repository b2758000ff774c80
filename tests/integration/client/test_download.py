"""Downloads over a real connection, which can really be cut."""

import json
import logging
import re
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlencode

import pytest
from recordings_client.errors import DownloadFailed, NotReady, RecordingFailed
from recordings_client.policy import Policy

from tests.integration.client.support import ARCHIVED, LINK, Caller, Reply, Server, problem

CONTENT = bytes(range(256)) * 4096  # 1 MiB
API = "/api/v1/recordings/rec_1/download"


class Storage:
    """Keeps one file. `trouble` is used up request by request: a status, a number of bytes to cut after, or None."""

    def __init__(self, server: Server) -> None:
        self.content, self.etag, self.ranges = CONTENT, '"one"', True
        self.trouble: list[Reply | int | None] = []
        self.asked: list[tuple[str | None, str | None]] = []
        self.tokens: list[str | None] = []
        self.meanwhile: Callable[[], None] = lambda: None
        server.route("GET", "/file", [self._answer])

    def _answer(self, http: BaseHTTPRequestHandler) -> None:
        wanted, match = http.headers.get("range"), http.headers.get("if-match")
        self.asked.append((wanted, match))
        self.tokens.append(http.headers.get("authorization"))
        assert http.path.startswith("/file?signed=1")
        trouble = self.trouble.pop(0) if self.trouble else None
        if isinstance(trouble, Reply):
            return self._send(http, trouble.status, b"", dict(trouble.headers))
        if match is not None and match != self.etag:
            return self._send(http, 412, b"", {})
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0  # type: ignore[index]
        headers = {"ETag": self.etag} if self.etag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        self._send(http, 206 if start else 200, self.content[start:], headers, cut_after=trouble)

    def _send(
        self,
        http: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        cut_after: int | None = None,
    ) -> None:
        http.send_response(status)
        for name, value in headers.items():
            http.send_header(name, value)
        http.send_header("Content-Length", str(len(body)))
        http.end_headers()
        http.wfile.write(body[:cut_after])
        http.wfile.flush()
        if cut_after is not None:
            # Before the client can notice, or its next request may be faster than the change.
            self.meanwhile()
            http.close_connection = True
            http.connection.shutdown(socket.SHUT_WR)


def a_link(server: Server, size: int = len(CONTENT)) -> Reply:
    return Reply(200, {**LINK, "download_url": f"{server.url}/file?signed=1", "file_size": size})


@pytest.fixture
def storage(server: Server) -> Storage:
    server.route("GET", API, [a_link(server)])
    return Storage(server)


@pytest.fixture
def fetch(call: Caller, server: Server, tmp_path: Path) -> Callable[..., Path]:
    def fetch(to: Path = tmp_path / "lesson.mp4", retries: int = 3, **given: object) -> Path:
        policy = Policy(retries=retries, jitter=lambda: 1.0)
        found = call(None, "download", "rec_1", to, url=server.url, policy=policy, **given)
        assert isinstance(found, Path)
        return found

    return fetch


def asked_for_links(server: Server) -> int:
    return sum(path == API for _, path, _ in server.asked)


def test_a_download_leaves_only_the_whole_file(storage: Storage, fetch: Callable[..., Path], tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []

    path = fetch(progress=lambda done, total: reported.append((done, total)))

    assert path == tmp_path / "lesson.mp4"
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]
    assert reported[0] == (0, len(CONTENT))
    assert reported[-1] == (len(CONTENT), len(CONTENT))
    assert reported == sorted(reported)


def test_the_token_is_not_sent_to_the_storage(storage: Storage, fetch: Callable[..., Path]) -> None:
    fetch()

    assert storage.tokens == [None]


def test_the_signature_of_a_url_is_in_no_log(
    storage: Storage, fetch: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        fetch()

    assert "/file" in caplog.text
    assert "signed=1" not in caplog.text


def test_in_a_directory_the_file_is_named_after_the_recording(
    storage: Storage, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    assert fetch(tmp_path) == tmp_path / "rec_1.mp4"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=\"Algebra 1.2.mkv\"; filename*=UTF-8''Algebra%201.2.mkv", "rec_1.mkv"),
        ('attachment; filename="Algebra.m4a"', "rec_1.m4a"),
        # What is no extension, or would lead out of the directory.
        ('attachment; filename="Algebra"', "rec_1.mp4"),
        ('attachment; filename="Algebra./../x"', "rec_1.mp4"),
        ("attachment", "rec_1.mp4"),
    ],
)
def test_in_a_directory_the_file_has_the_extension_of_its_type(
    server: Server, storage: Storage, fetch: Callable[..., Path], tmp_path: Path, disposition: str, name: str
) -> None:
    url = f"{server.url}/file?signed=1&{urlencode({'response-content-disposition': disposition})}"
    server.route("GET", API, [Reply(200, {**LINK, "download_url": url, "file_size": len(CONTENT)})])

    assert fetch(tmp_path) == tmp_path / name


def test_only_the_whole_file_replaces_an_existing_one(
    storage: Storage, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "lesson.mp4").write_bytes(b"old")
    storage.trouble = [100, Reply(500), Reply(500), Reply(500), Reply(500)]

    with pytest.raises(DownloadFailed) as caught:
        fetch()

    assert (tmp_path / "lesson.mp4").read_bytes() == b"old"
    assert caught.value.status == 500
    assert "100 of 1048576 bytes" in caught.value.detail
    assert "/file" not in str(caught.value)

    assert fetch().read_bytes() == CONTENT


def test_a_download_continues_after_a_lost_connection(
    call: Caller, storage: Storage, fetch: Callable[..., Path]
) -> None:
    storage.trouble = [1000, 50_000]

    assert fetch(retries=0).read_bytes() == CONTENT

    assert storage.asked == [(None, None), ("bytes=1000-", '"one"'), ("bytes=51000-", '"one"')]
    assert call.slept == []


def test_a_later_call_continues_the_download_of_an_earlier_one(storage: Storage, fetch: Callable[..., Path]) -> None:
    storage.trouble = [1000, Reply(503)]
    with pytest.raises(DownloadFailed):
        fetch(retries=0)
    reported: list[int] = []

    assert fetch(progress=lambda done, _: reported.append(done)).read_bytes() == CONTENT

    assert storage.asked[2:] == [("bytes=1000-", '"one"')]
    assert reported[0] == 1000


def test_without_resume_the_download_starts_at_byte_0(storage: Storage, fetch: Callable[..., Path]) -> None:
    storage.trouble = [1000, Reply(503)]
    with pytest.raises(DownloadFailed):
        fetch(retries=0)

    assert fetch(resume=False).read_bytes() == CONTENT

    assert storage.asked[2:] == [(None, None)]


def test_a_complete_part_file_is_not_downloaded_again(
    storage: Storage, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    note = {"recording_id": "rec_1", "etag": '"one"', "size": len(CONTENT)}
    (tmp_path / "lesson.mp4.part").write_bytes(CONTENT)
    (tmp_path / "lesson.mp4.part.json").write_text(json.dumps(note))

    assert fetch().read_bytes() == CONTENT

    assert storage.asked == []
    assert list(tmp_path.iterdir()) == [tmp_path / "lesson.mp4"]


@pytest.mark.parametrize(
    "note",
    [
        None,
        "",
        "[]",
        "{}",
        '{"recording_id": "rec_2", "etag": "\\"one\\"", "size": 1048576}',
        '{"recording_id": "rec_1", "etag": "\\"one\\"", "size": 1}',
        '{"recording_id": "rec_1", "etag": "", "size": 1048576}',
        '{"recording_id": "rec_1", "etag": null, "size": 1048576}',
    ],
)
def test_bytes_of_another_file_are_not_joined(
    storage: Storage, fetch: Callable[..., Path], tmp_path: Path, note: str | None
) -> None:
    (tmp_path / "lesson.mp4.part").write_bytes(b"something else")
    if note is not None:
        (tmp_path / "lesson.mp4.part.json").write_text(note)

    assert fetch().read_bytes() == CONTENT

    assert storage.asked == [(None, None)]


def test_a_changed_file_is_downloaded_again(storage: Storage, fetch: Callable[..., Path]) -> None:
    def change() -> None:
        storage.content, storage.etag = CONTENT[::-1], '"two"'

    storage.trouble, storage.meanwhile = [1000], change

    assert fetch().read_bytes() == CONTENT[::-1]

    assert storage.asked == [(None, None), ("bytes=1000-", '"one"'), (None, None)]


def test_without_ranges_the_download_starts_at_byte_0(storage: Storage, fetch: Callable[..., Path]) -> None:
    storage.ranges, storage.trouble = False, [1000]

    assert fetch().read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ["", 'W/"one"'])
def test_without_a_strong_etag_nothing_is_joined(storage: Storage, fetch: Callable[..., Path], etag: str) -> None:
    storage.etag, storage.trouble = etag, [1000]

    assert fetch().read_bytes() == CONTENT

    assert storage.asked == [(None, None), (None, None)]


@pytest.mark.parametrize("sent", [CONTENT[:-1], CONTENT + b"!", b""], ids=["short", "long", "empty"])
def test_a_file_of_another_size_is_rejected(
    storage: Storage, fetch: Callable[..., Path], tmp_path: Path, sent: bytes
) -> None:
    storage.content = sent

    with pytest.raises(DownloadFailed):
        fetch()

    assert not (tmp_path / "lesson.mp4").exists()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_an_expired_url_is_replaced(
    call: Caller, server: Server, storage: Storage, fetch: Callable[..., Path], status: int
) -> None:
    storage.trouble = [1000, Reply(status), None]

    assert fetch(expires_in=60).read_bytes() == CONTENT

    assert storage.asked[1:] == [("bytes=1000-", '"one"')] * 2
    assert asked_for_links(server) == 2
    assert {query for _, path, query in server.asked if path == API} == {"expires_in=60"}
    assert call.slept == []


def test_a_download_ends_if_no_url_works(server: Server, storage: Storage, fetch: Callable[..., Path]) -> None:
    storage.trouble = [Reply(403)] * 10

    with pytest.raises(DownloadFailed) as caught:
        fetch()

    assert caught.value.status == 403
    assert asked_for_links(server) == 4


def test_a_file_that_was_archived_is_not_ready(server: Server, storage: Storage, fetch: Callable[..., Path]) -> None:
    server.route("GET", API, [a_link(server), Reply(202, ARCHIVED)])
    storage.trouble = [1000, Reply(404)]

    with pytest.raises(NotReady):
        fetch()


def test_a_url_of_another_file_starts_the_download_at_byte_0(
    server: Server, storage: Storage, fetch: Callable[..., Path]
) -> None:
    def change() -> None:
        storage.content, storage.etag = CONTENT[:5000], '"two"'

    server.route("GET", API, [a_link(server), a_link(server, 5000)])
    storage.trouble, storage.meanwhile = [1000, Reply(403)], change

    assert fetch().read_bytes() == CONTENT[:5000]


def test_a_download_obeys_retry_after_of_the_storage(
    call: Caller, storage: Storage, fetch: Callable[..., Path]
) -> None:
    storage.trouble = [Reply(503, headers={"Retry-After": "7"}), Reply(429), Reply(500)]

    assert fetch().read_bytes() == CONTENT

    assert call.slept == [7, 1, 2]


def test_a_download_ends_if_retry_after_is_too_long(call: Caller, storage: Storage, fetch: Callable[..., Path]) -> None:
    storage.trouble = [Reply(503, headers={"Retry-After": "3600"})]

    with pytest.raises(DownloadFailed) as caught:
        fetch()

    assert caught.value.retry_after == 3600
    assert call.slept == []


def test_an_empty_file_is_a_file(server: Server, storage: Storage, fetch: Callable[..., Path]) -> None:
    server.route("GET", API, [a_link(server, 0)])
    storage.content = b""

    assert fetch().read_bytes() == b""


def test_a_redirect_is_not_followed(storage: Storage, fetch: Callable[..., Path]) -> None:
    storage.trouble = [Reply(302, headers={"Location": "/elsewhere"})] * 9

    with pytest.raises(DownloadFailed):
        fetch()


def test_a_failed_recording_is_not_downloaded(
    server: Server, storage: Storage, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    server.route("GET", API, [problem(409, "recording_failed")])

    with pytest.raises(RecordingFailed):
        fetch()

    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_callback_reaches_the_caller_and_keeps_the_bytes(
    storage: Storage, fetch: Callable[..., Path], tmp_path: Path
) -> None:
    def refuse(done: int, total: int) -> None:
        if done:
            raise LookupError("enough")

    with pytest.raises(LookupError):
        fetch(progress=refuse)

    assert (tmp_path / "lesson.mp4.part").stat().st_size > 0
    assert fetch().read_bytes() == CONTENT


def test_a_missing_directory_is_an_os_error(storage: Storage, fetch: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fetch(tmp_path / "nowhere" / "lesson.mp4")
