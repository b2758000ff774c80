"""Signatures of webhooks, against a server that publishes the key and may rotate it."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recordings.adapters.cloudflare.signature import (
    KEY_TTL_SECONDS,
    MIN_REREAD_INTERVAL_SECONDS,
    MIN_RETRY_INTERVAL_SECONDS,
    WebhookKeys,
)
from recordings.domain.errors import ProviderError, ProviderFailure, ProviderTimeout

BODY = b'{"event":"recording.statusUpdate"}'
OURS, NEXT, FORGERS = (generate_private_key(65537, 2048) for _ in range(3))


def pem(key: RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(body: bytes = BODY, key: RSAPrivateKey = OURS) -> str:
    return base64.b64encode(key.sign(body, PKCS1v15(), SHA256())).decode()


def published(key: RSAPrivateKey) -> bytes:
    return json.dumps({"success": True, "data": {"publicKey": pem(key)}}).encode()


class Server(HTTPServer):
    status = 200
    response = published(OURS)
    asked = 0
    location: str | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.response)))
        if self.server.location is not None:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.response)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def keys(server: Server, monkeypatch: pytest.MonkeyPatch) -> WebhookKeys:
    monkeypatch.setenv("CLOUDFLARE_WEBHOOK_KEY_URL", f"http://127.0.0.1:{server.server_port}/key")
    return WebhookKeys()


class Clock:
    """The process's clock, as the standard library tells it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def test_a_signed_body_is_valid_and_the_key_is_cached(server: Server, keys: WebhookKeys) -> None:
    assert keys.verify(BODY, signed())
    assert keys.verify(b"", signed(b""))
    assert server.asked == 1


def test_a_redirect_is_no_key(server: Server, keys: WebhookKeys) -> None:
    server.status, server.location, server.response = 302, f"http://127.0.0.1:{server.server_port}/stolen", b"{}"
    with pytest.raises(ProviderError):
        keys.verify(BODY, signed())
    assert server.asked == 1


def test_an_endless_response_is_no_key(server: Server, keys: WebhookKeys) -> None:
    server.response = published(OURS)[:-1] + b" " * 10_000_000 + b"}"
    with pytest.raises(ProviderError):
        keys.verify(BODY, signed())


@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], b"", BODY.replace(b"r", b"R", 1)])
def test_an_altered_body_is_invalid(keys: WebhookKeys, body: bytes) -> None:
    assert keys.verify(BODY, signed())
    assert not keys.verify(body, signed())


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "nonsense",
        "=",
        "ä",
        "A" * 344,
        signed()[:-4],
        signed() + "AAAA",
        signed(key=FORGERS),
        base64.b64encode(OURS.sign(BODY, PSS(MGF1(SHA256()), 32), SHA256())).decode(),
        base64.b64encode(OURS.sign(BODY, PKCS1v15(), SHA1())).decode(),
    ],
)
def test_a_forged_signature_is_invalid(keys: WebhookKeys, signature: str) -> None:
    assert not keys.verify(BODY, signature)
    assert keys.verify(BODY, signed())
    assert not keys.verify(BODY, signature)


def test_a_signature_that_is_no_base64_causes_no_request(server: Server, keys: WebhookKeys) -> None:
    assert not keys.verify(BODY, "!")
    assert server.asked == 0


def test_forged_webhooks_do_not_cause_a_request_each(server: Server, keys: WebhookKeys, clock: Clock) -> None:
    for _ in range(50):
        assert not keys.verify(BODY, signed(key=FORGERS))
    assert server.asked == 1
    clock.now += MIN_REREAD_INTERVAL_SECONDS
    for _ in range(50):
        assert not keys.verify(BODY, signed(key=FORGERS))
    assert server.asked == 2


def test_a_new_key_is_read_after_the_interval_and_replaces_the_old_one(
    server: Server, keys: WebhookKeys, clock: Clock
) -> None:
    assert keys.verify(BODY, signed())
    server.response = published(NEXT)
    clock.now += MIN_REREAD_INTERVAL_SECONDS - 1
    assert not keys.verify(BODY, signed(key=NEXT))
    clock.now += 1
    assert keys.verify(BODY, signed(key=NEXT))
    assert not keys.verify(BODY, signed())
    assert server.asked == 2


def test_a_key_is_read_again_after_its_ttl(server: Server, keys: WebhookKeys, clock: Clock) -> None:
    assert keys.verify(BODY, signed())
    clock.now += KEY_TTL_SECONDS
    assert keys.verify(BODY, signed())
    assert server.asked == 1
    clock.now += 1
    server.response = published(NEXT)
    assert not keys.verify(BODY, signed())
    assert server.asked == 2


def test_a_key_ages_while_the_process_is_frozen(
    server: Server, keys: WebhookKeys, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda freezes what is idle, and the monotonic clock may stand still meanwhile."""
    began = time.time()
    assert keys.verify(BODY, signed())
    monkeypatch.setattr("time.time", lambda: began + KEY_TTL_SECONDS + 60)
    server.response = published(NEXT)
    assert not keys.verify(BODY, signed())
    assert server.asked == 2


def test_a_failing_key_server_is_a_temporary_error_and_asked_again(
    server: Server, keys: WebhookKeys, clock: Clock
) -> None:
    server.status = 503
    for _ in range(10):
        with pytest.raises(ProviderError):
            keys.verify(BODY, signed())
    assert server.asked == 1
    server.status = 200
    clock.now += MIN_RETRY_INTERVAL_SECONDS
    assert keys.verify(BODY, signed())


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"data":null}',
        b'{"data":[]}',
        b'{"data":{"publicKey":null}}',
        b'{"data":{"publicKey":7}}',
        b'{"data":{"publicKey":"nonsense"}}',
        json.dumps({"data": {"publicKey": pem(ec.generate_private_key(ec.SECP256R1()))}}).encode(),
    ],
)
def test_an_unreadable_key_is_a_temporary_error(server: Server, keys: WebhookKeys, response: bytes) -> None:
    server.response = response
    with pytest.raises(ProviderError):
        keys.verify(BODY, signed())


def test_an_unreachable_key_server_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_WEBHOOK_KEY_URL", "http://127.0.0.1:9/key")
    with pytest.raises(ProviderTimeout):
        WebhookKeys().verify(BODY, signed())


def test_a_failing_key_server_does_not_remove_the_cached_key(server: Server, keys: WebhookKeys, clock: Clock) -> None:
    assert keys.verify(BODY, signed())
    clock.now += MIN_REREAD_INTERVAL_SECONDS
    server.status = 503
    with pytest.raises(ProviderFailure):
        keys.verify(BODY, signed(key=NEXT))
    assert keys.verify(BODY, signed())


def test_a_failing_key_server_is_not_asked_for_each_forged_webhook(
    server: Server, keys: WebhookKeys, clock: Clock
) -> None:
    assert keys.verify(BODY, signed())
    clock.now += MIN_REREAD_INTERVAL_SECONDS
    server.status = 503
    for _ in range(10):
        try:
            assert not keys.verify(BODY, signed(key=FORGERS))
        except ProviderFailure:
            pass
    assert server.asked == 2
