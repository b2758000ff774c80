"""Keys that change while a function is warm: R2's, and Cloudflare's token."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from recordings.adapters.aws import secrets
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.storage.erasable import ErasableBucket
from recordings.adapters.storage.r2_keys import r2_keys
from recordings.domain.errors import InfrastructureError, ProviderError, Throttled
from recordings.domain.purge import ItemKind, StoreItem
from tests.support.fakes import Purse

PERIOD = 300


class Clock:
    """Both clocks of `time`, which move when they are told to."""

    def __init__(self) -> None:
        self.awake, self.asleep = 1000.0, 0.0

    def monotonic(self) -> float:
        return self.awake

    def time(self) -> float:
        return 1_800_000_000.0 + self.awake + self.asleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(secrets, "time", made)
    return made


class ArchiveStore:
    """Secrets Manager: what the secrets hold, and how often they were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: list[str] = []
        self.texts: dict[str, str] = {}
        monkeypatch.setattr(secrets, "_client", lambda: SimpleNamespace(get_secret_value=self.get))
        self.rotate("old")

    def get(self, **request: Any) -> Any:
        self.reads.append(request["SecretId"])
        return {"SecretString": self.texts[request["SecretId"]]}

    def set(self, arn: str, **value: str) -> None:
        self.texts[arn] = json.dumps(value)

    def rotate(self, name: str = "new") -> None:
        self.set("r2-secret", access_key_id=name, secret_access_key=f"{name}-secret")
        self.set("cloudflare-secret", api_token=name)


@pytest.fixture
def vault(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveStore]:
    secrets._kept.clear()
    yield ArchiveStore(monkeypatch)
    secrets._kept.clear()


class Store(ThreadingHTTPServer):
    """R2 and Cloudflare's API, of which only this matters here: which keys they accept."""

    accepted: set[str]
    away: bool
    asked: list[tuple[str, str]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = self.headers.get("Authorization", "")
        find_by_cloudflare_recording_id = told.startswith("Bearer ")
        key = (
            told.removeprefix("Bearer ")
            if find_by_cloudflare_recording_id
            else told.split("Credential=")[1].split("/")[0]
        )
        self.server.asked.append((self.command, key))
        status, sent = 200, b'{"success": true, "data": {"id": "m1"}}' if find_by_cloudflare_recording_id else b""
        if self.server.away:
            status, sent = 503, b""
        elif key not in self.server.accepted:
            # R2's answer to a key that is unknown, and Cloudflare's to such a token.
            status, sent = 401, b"<Error><Code>Unauthorized</Code><Message>no</Message></Error>"
        self.send_response(status)
        self.send_header("ETag", '"5d41402abc4b2a76b9719d911017c592"')
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        """No line for each request."""


@pytest.fixture
def store(vault: ArchiveStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    server = Store(("127.0.0.1", 0), Handler)
    server.accepted, server.away, server.asked = {"old", "new"}, False, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("R2_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("CLOUDFLARE_API_URL", f"http://127.0.0.1:{server.server_port}/client/v4")
    monkeypatch.setenv("DIRECT_DELIVERY", "on")
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def signer(url: str) -> str:
    """The access key id that signed a URL."""
    return parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/")[0]


def a_url(r2: R2Bucket) -> str:
    return r2.presign("a/key", file_name="a.mp4", content_type="video/mp4", expires_in=60)


# ---------------------------------------------------------------- the period


def test_a_warm_client_uses_the_new_key_after_the_period(vault: ArchiveStore, store: Store, clock: Clock) -> None:
    r2 = R2Bucket()
    client = r2.client
    assert signer(a_url(r2)) == "old"
    vault.rotate()

    clock.awake += PERIOD - 1
    assert signer(a_url(r2)) == "old"
    clock.awake += 1
    assert signer(a_url(r2)) == "new"
    assert r2.head("a/key") is not None
    assert r2.client is client, "the client, and its connections, outlive the key"
    assert [key for _, key in store.asked] == ["old", "new", "new"], "and nothing was asked with the old one again"


@pytest.mark.parametrize("hidden", ["awake", "asleep"])
def test_the_period_counts_while_the_process_is_frozen(vault: ArchiveStore, clock: Clock, hidden: str) -> None:
    """Lambda freezes what is idle: the monotonic clock may stand still, and the other one may be set back."""
    assert r2_keys()["access_key_id"] == "old"
    vault.rotate()
    setattr(clock, hidden, getattr(clock, hidden) + PERIOD)
    if hidden == "awake":
        clock.asleep -= 2 * PERIOD
    assert r2_keys()["access_key_id"] == "new"


def test_the_period_begins_when_the_secret_is_asked_for(vault: ArchiveStore, clock: Clock, monkeypatch: Any) -> None:
    """It may change while the answer is on its way."""
    slow = vault.get

    def answered_late(**request: Any) -> Any:
        answer = slow(**request)
        clock.awake += 10
        return answer

    monkeypatch.setattr(secrets, "_client", lambda: SimpleNamespace(get_secret_value=answered_late))
    r2_keys()
    vault.rotate()
    clock.awake += PERIOD - 10
    assert r2_keys()["access_key_id"] == "new"


def test_the_period_is_a_setting(vault: ArchiveStore, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TTL_SECONDS", "2")
    r2_keys()
    clock.awake += 1
    r2_keys()
    assert vault.reads == ["r2-secret"]
    clock.awake += 1
    r2_keys()
    assert vault.reads == ["r2-secret"] * 2


def test_a_secret_that_cannot_be_confirmed_is_not_used_on(vault: ArchiveStore, clock: Clock, monkeypatch: Any) -> None:
    def down(**_: Any) -> Any:
        raise Throttled("down")

    r2_keys()
    clock.awake += PERIOD
    monkeypatch.setattr(secrets, "_client", lambda: SimpleNamespace(get_secret_value=down))
    for _ in range(2):
        with pytest.raises(Throttled):
            r2_keys()


def test_a_start_hands_over_the_new_key_after_the_period(vault: ArchiveStore, store: Store, clock: Clock) -> None:
    kit = RealtimeKitClient(Purse())
    assert kit._storage("a/folder")["access_key"] == "old"  # type: ignore[index]
    vault.rotate()
    clock.awake += PERIOD
    assert kit._storage("a/folder")["access_key"] == "new"  # type: ignore[index]


# ---------------------------------------------------------------- keys that are refused before it has passed

USES = [
    pytest.param(lambda r2: r2.head("a/key"), id="head"),
    pytest.param(lambda r2: r2.put("a/key", b"hello", content_type="text/plain"), id="put"),
    pytest.param(lambda r2: r2.delete("a/key"), id="delete"),
    pytest.param(
        lambda r2: ErasableBucket("r2", r2, versioned=False).erase(
            StoreItem(store="r2", key="a/key", kind=ItemKind.OBJECT)
        ),
        id="erase",
    ),
]


@pytest.mark.parametrize("use", USES)
def test_a_refused_key_is_asked_for_again_and_the_request_is_sent_once_more(
    vault: ArchiveStore, store: Store, clock: Clock, use: Any
) -> None:
    r2 = R2Bucket()
    use(r2)
    vault.rotate()
    store.accepted = {"new"}
    store.asked.clear()
    clock.awake += 10

    use(r2)

    assert [key for _, key in store.asked] == ["old", "new"]
    assert signer(a_url(r2)) == "new"


@pytest.mark.parametrize("use", USES)
def test_a_key_that_is_refused_for_good_is_an_error_and_no_flood(
    vault: ArchiveStore, store: Store, clock: Clock, use: Any
) -> None:
    store.accepted = set()
    r2 = R2Bucket()
    for _ in range(5):
        clock.awake += 0.1
        with pytest.raises(InfrastructureError):
            use(r2)
    # Read, and once more when it was refused.
    assert vault.reads == ["r2-secret"] * 2
    clock.awake += 10
    with pytest.raises(InfrastructureError):
        use(r2)
    assert vault.reads == ["r2-secret"] * 3
    assert len(store.asked) == 6, "what is refused with the same key is not sent twice"


def test_two_rotations_within_a_second_are_both_followed(vault: ArchiveStore, store: Store, clock: Clock) -> None:
    r2 = R2Bucket()
    for name in ("new", "newer", "newest"):
        vault.rotate(name)
        store.accepted = {name}
        clock.awake += 0.1
        r2.head("a/key")
        assert store.asked[-1][1] == name


def test_no_url_is_signed_with_a_key_that_was_revoked_and_not_replaced(
    vault: ArchiveStore, store: Store, clock: Clock
) -> None:
    """Signing asks nobody, so the key is tried once in a period: a URL that is dead must not be given out for ever."""
    r2 = R2Bucket()
    a_url(r2)
    store.accepted = set()
    clock.awake += PERIOD
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            a_url(r2)
    store.accepted = {"new"}
    vault.rotate()
    clock.awake += 1
    assert signer(a_url(r2)) == "new"


def test_of_many_urls_one_asks_whether_the_key_works(vault: ArchiveStore, store: Store, clock: Clock) -> None:
    r2 = R2Bucket()
    for _ in range(5):
        a_url(r2)
        clock.awake += 1
    assert store.asked == [("HEAD", "old")]


def test_urls_are_signed_while_r2_is_away(vault: ArchiveStore, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL lives for hours, and what keeps R2 busy passes."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store.away = True
    r2 = R2Bucket()
    assert signer(a_url(r2)) == "old"
    asked = len(store.asked)
    a_url(r2)
    assert len(store.asked) == asked


def test_a_refused_token_is_asked_for_again_and_the_call_is_made_once_more(
    vault: ArchiveStore, store: Store, clock: Clock
) -> None:
    purse = Purse()
    kit = RealtimeKitClient(purse)
    assert kit.create_meeting("Title", record_on_start=True) == "m1"
    vault.rotate()
    store.accepted = {"new"}
    store.asked.clear()
    spent = purse.spent
    clock.awake += 10

    assert kit.create_meeting("Title", record_on_start=True) == "m1"

    assert store.asked == [("POST", "old"), ("POST", "new")]
    assert purse.spent == spent + 2, "each call is one of the budget"


def test_a_token_that_is_refused_for_good_is_tried_once(vault: ArchiveStore, store: Store, clock: Clock) -> None:
    store.accepted = set()
    kit = RealtimeKitClient(Purse())
    for _ in range(2):
        clock.awake += 10
        with pytest.raises(ProviderError):
            kit.create_meeting("Title", record_on_start=True)
    assert store.asked == [("POST", "old")] * 2


# ---------------------------------------------------------------- secrets that are none


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("not-json: hunter2", id="no JSON"),
        pytest.param('["hunter2"]', id="a list"),
        pytest.param('{"access_key_id": "hunter2", "secret_access_key": 5}', id="a number"),
        pytest.param('{"hunter2": "hunter2"}', id="other names"),
        pytest.param('{"access_key_id": "", "secret_access_key": "hunter2"}', id="an empty key"),
    ],
)
def test_a_secret_that_is_none_is_an_error_that_does_not_tell_it(vault: ArchiveStore, text: str, log: Any) -> None:
    vault.texts["r2-secret"] = text
    with pytest.raises(InfrastructureError) as raised:
        r2_keys()
    assert "hunter2" not in f"{raised.value!r} {log.getvalue()}"


def test_every_client_of_r2_signs_with_the_current_key() -> None:
    """Whoever makes another client of R2 must not give it a key of its own."""
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(Path(secrets.__file__).parents[1].rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"access_key_id=|secret_access_key=", line)
    ]
    assert found == [
        'archive.py: aws_access_key_id=session["AccessKeyId"],',
        'archive.py: aws_secret_access_key=session["SecretAccessKey"],',
        "bucket.py: aws_access_key_id=PLACEHOLDER,",
        "bucket.py: aws_secret_access_key=PLACEHOLDER,",
    ]
