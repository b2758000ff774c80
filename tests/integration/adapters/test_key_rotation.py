"""Keys that change while a function is warm: R2's access key and Cloudflare's API token."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from recordings.adapters.aws import age, secrets
from recordings.adapters.cloudflare.client import DirectDelivery, RealtimeKitClient
from recordings.adapters.storage.r2 import R2Bucket
from recordings.adapters.storage.r2_keys import R2Credentials
from recordings.domain.errors import InfrastructureError, ProviderError, Throttled
from recordings.domain.purge import ItemKind, StoreItem
from tests.support.builders import NOON
from tests.support.fakes import FakeRateLimiter

TTL_SECONDS = 300
TTL = timedelta(seconds=TTL_SECONDS)


class Clock:
    """Both clocks of `time`. A test moves them: `awake` moves both, `asleep` only the wall clock."""

    def __init__(self) -> None:
        self.awake, self.asleep = 1000.0, 0.0

    def monotonic(self) -> float:
        return self.awake

    def time(self) -> float:
        return 1_800_000_000.0 + self.awake + self.asleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(age, "time", made)
    return made


class SecretsManager:
    """The values of the secrets, and the reads of them."""

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
def manager(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> SecretsManager:
    return SecretsManager(monkeypatch)


@pytest.fixture
def credentials(manager: SecretsManager) -> R2Credentials:
    return R2Credentials(secrets.Secret("r2-secret", ttl=TTL))


class Store(ThreadingHTTPServer):
    """R2 and Cloudflare's API: they accept these keys, and record method and key of each request."""

    accepted: set[str]
    away: bool
    asked: list[tuple[str, str]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reported = self.headers.get("Authorization", "")
        find_by_cloudflare_recording_id = reported.startswith("Bearer ")
        key = (
            reported.removeprefix("Bearer ")
            if find_by_cloudflare_recording_id
            else reported.split("Credential=")[1].split("/")[0]
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
def store(manager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    server = Store(("127.0.0.1", 0), Handler)
    server.accepted, server.away, server.asked = {"old", "new"}, False, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("R2_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("CLOUDFLARE_API_URL", f"http://127.0.0.1:{server.server_port}/client/v4")
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def signer(url: str) -> str:
    """The access key id that signed a URL."""
    return parse_qs(urlsplit(url).query)["X-Amz-Credential"][0].split("/")[0]


def token() -> secrets.Secret:
    """Cloudflare's API token."""
    return secrets.Secret("cloudflare-secret", ttl=TTL)


def a_url(r2: R2Bucket) -> str:
    return r2.presign_download(
        "a/key", file_name="a.mp4", content_type="video/mp4", expires_in_seconds=60, now=NOON
    ).url


# ---------------------------------------------------------------- the TTL


def test_a_warm_client_uses_the_new_key_after_the_ttl(manager: SecretsManager, store: Store, clock: Clock) -> None:
    r2 = R2Bucket()
    client = r2.client
    assert signer(a_url(r2)) == "old"
    manager.rotate()

    clock.awake += TTL_SECONDS - 1
    assert signer(a_url(r2)) == "old"
    clock.awake += 1
    assert signer(a_url(r2)) == "new"
    assert r2.head("a/key") is not None
    assert r2.client is client, "the client and its connections outlive the key"
    assert [key for _, key in store.asked] == ["old", "new", "new"], "no request used the old key again"


@pytest.mark.parametrize("hidden", ["awake", "asleep"])
def test_the_ttl_runs_while_the_process_is_frozen(
    manager: SecretsManager, credentials: R2Credentials, clock: Clock, hidden: str
) -> None:
    """Lambda freezes idle processes: the monotonic clock may stop, and the wall clock may be set back."""
    assert credentials.read()["access_key_id"] == "old"
    manager.rotate()
    setattr(clock, hidden, getattr(clock, hidden) + TTL_SECONDS)
    if hidden == "awake":
        clock.asleep -= 2 * TTL_SECONDS
    assert credentials.read()["access_key_id"] == "new"


def test_the_ttl_begins_with_the_request(
    manager: SecretsManager, credentials: R2Credentials, clock: Clock, monkeypatch: Any
) -> None:
    """The secret may change while the response is under way."""
    slow = manager.get

    def answered_late(**request: Any) -> Any:
        response = slow(**request)
        clock.awake += 10
        return response

    monkeypatch.setattr(secrets, "_client", lambda: SimpleNamespace(get_secret_value=answered_late))
    credentials.read()
    manager.rotate()
    clock.awake += TTL_SECONDS - 10
    assert credentials.read()["access_key_id"] == "new"


def test_the_ttl_is_a_setting(
    manager: SecretsManager, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TTL_SECONDS", "2")
    r2 = R2Bucket()
    for seconds, reads in ((0, 1), (1, 1), (1, 2)):
        clock.awake += seconds
        r2.head("a/key")
        assert manager.reads == ["r2-secret"] * reads


def test_an_expired_secret_is_not_used_when_it_cannot_be_read_again(
    manager: SecretsManager, credentials: R2Credentials, clock: Clock, monkeypatch: Any
) -> None:
    def down(**_: Any) -> Any:
        raise Throttled("down")

    credentials.read()
    clock.awake += TTL_SECONDS
    monkeypatch.setattr(secrets, "_client", lambda: SimpleNamespace(get_secret_value=down))
    for _ in range(2):
        with pytest.raises(Throttled):
            credentials.read()


def test_a_start_passes_the_new_key_after_the_ttl(
    manager: SecretsManager, credentials: R2Credentials, clock: Clock
) -> None:
    delivery = DirectDelivery("files", credentials.read)
    assert delivery.storage_config(account_id="a", folder="a/folder")["access_key"] == "old"
    manager.rotate()
    clock.awake += TTL_SECONDS
    assert delivery.storage_config(account_id="a", folder="a/folder")["access_key"] == "new"


# ---------------------------------------------------------------- keys that are rejected within the TTL

USES = [
    pytest.param(lambda r2: r2.head("a/key"), id="head"),
    pytest.param(lambda r2: r2.put("a/key", b"hello", content_type="text/plain"), id="put"),
    pytest.param(lambda r2: r2.delete("a/key"), id="delete"),
    pytest.param(lambda r2: r2.erase(StoreItem(store="r2", key="a/key", kind=ItemKind.OBJECT)), id="erase"),
]


@pytest.mark.parametrize("use", USES)
def test_a_rejected_key_is_read_again_and_the_request_is_sent_once_more(
    manager: SecretsManager, store: Store, clock: Clock, use: Any
) -> None:
    r2 = R2Bucket()
    use(r2)
    manager.rotate()
    store.accepted = {"new"}
    store.asked.clear()
    clock.awake += 10

    use(r2)

    assert [key for _, key in store.asked] == ["old", "new"]
    assert signer(a_url(r2)) == "new"


@pytest.mark.parametrize("use", USES)
def test_a_key_that_stays_rejected_is_an_error_and_read_once_a_second(
    manager: SecretsManager, store: Store, clock: Clock, use: Any
) -> None:
    store.accepted = set()
    r2 = R2Bucket()
    for _ in range(5):
        clock.awake += 0.1
        with pytest.raises(InfrastructureError):
            use(r2)
    # One read at first, one after the rejection.
    assert manager.reads == ["r2-secret"] * 2
    clock.awake += 10
    with pytest.raises(InfrastructureError):
        use(r2)
    assert manager.reads == ["r2-secret"] * 3
    assert len(store.asked) == 6, "a request that the same key would sign is not repeated"


def test_two_rotations_within_a_second_are_both_used(manager: SecretsManager, store: Store, clock: Clock) -> None:
    r2 = R2Bucket()
    for name in ("new", "newer", "newest"):
        manager.rotate(name)
        store.accepted = {name}
        clock.awake += 0.1
        r2.head("a/key")
        assert store.asked[-1][1] == name


def test_no_url_is_signed_with_a_revoked_key_that_was_not_replaced(
    manager: SecretsManager, store: Store, clock: Clock
) -> None:
    """Signing sends nothing, so the key is tried once per TTL. Else dead URLs would be returned for ever."""
    r2 = R2Bucket()
    a_url(r2)
    store.accepted = set()
    clock.awake += TTL_SECONDS
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            a_url(r2)
    store.accepted = {"new"}
    manager.rotate()
    clock.awake += 1
    assert signer(a_url(r2)) == "new"


def test_the_key_is_tried_once_for_many_urls(manager: SecretsManager, store: Store, clock: Clock) -> None:
    r2 = R2Bucket()
    for _ in range(5):
        a_url(r2)
        clock.awake += 1
    assert store.asked == [("HEAD", "old")]


def test_urls_are_signed_while_r2_is_unreachable(
    manager: SecretsManager, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL is valid for hours, longer than R2 is busy."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store.away = True
    r2 = R2Bucket()
    assert signer(a_url(r2)) == "old"
    asked = len(store.asked)
    a_url(r2)
    assert len(store.asked) == asked


def test_a_rejected_token_is_read_again_and_the_call_is_sent_once_more(
    manager: SecretsManager, store: Store, clock: Clock
) -> None:
    rate_limiter = FakeRateLimiter()
    kit = RealtimeKitClient(rate_limiter, token=token())
    assert kit.create_meeting("Title", record_on_start=True) == "m1"
    manager.rotate()
    store.accepted = {"new"}
    store.asked.clear()
    spent = rate_limiter.spent
    clock.awake += 10

    assert kit.create_meeting("Title", record_on_start=True) == "m1"

    assert store.asked == [("POST", "old"), ("POST", "new")]
    assert rate_limiter.spent == spent + 2, "each attempt counts as a call"


def test_a_token_that_stays_rejected_is_tried_once(manager: SecretsManager, store: Store, clock: Clock) -> None:
    store.accepted = set()
    kit = RealtimeKitClient(FakeRateLimiter(), token=token())
    for _ in range(2):
        clock.awake += 10
        with pytest.raises(ProviderError):
            kit.create_meeting("Title", record_on_start=True)
    assert store.asked == [("POST", "old")] * 2


# ---------------------------------------------------------------- malformed secrets


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
def test_a_malformed_secret_is_an_error_that_does_not_show_it(
    manager: SecretsManager, credentials: R2Credentials, text: str, log: Any
) -> None:
    manager.texts["r2-secret"] = text
    with pytest.raises(InfrastructureError) as raised:
        credentials.read()
    assert "hunter2" not in f"{raised.value!r} {log.getvalue()}"


def test_every_client_of_r2_signs_with_the_current_key() -> None:
    """No client of R2 has a key of its own."""
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(Path(secrets.__file__).parents[1].rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"access_key_id=|secret_access_key=", line)
    ]
    assert found == [
        'archive.py: aws_access_key_id=session["AccessKeyId"],',
        'archive.py: aws_secret_access_key=session["SecretAccessKey"],',
        "r2.py: aws_access_key_id=PLACEHOLDER,",
        "r2.py: aws_secret_access_key=PLACEHOLDER,",
    ]
