"""What the command line says of each error: the case in its own words, and the next step."""

import base64
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from recordings_client import errors
from recordings_client.calls import download_url
from recordings_client.cli import Exit, app
from recordings_client.effects import Answer, Send
from recordings_client.explain import Asked, claims_of, explain
from recordings_client.policy import Policy
from typer.testing import CliRunner

from tests.integration.client.support import ARCHIVED, BLOCKER, WAIT, Reply, Server, problem

URL = "https://api.test"


def a_token(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def said(reply: Reply, *, token: str = "secret", room: str | None = "room_1", recording: str | None = "rec_1") -> str:
    error = errors.error_of(Answer(reply.status, httpx.Headers(dict(reply.headers)), reply.content))
    asked = Asked(url=URL, token=token, timeout=30, room=room, recording=recording)
    return "\n".join(explain(error, asked))


GATEWAY = Reply(401, {"message": "Unauthorized"})
FORBIDDEN = Reply(403, {"message": "Forbidden"})
CASES: list[tuple[Reply, str, str]] = [
    (GATEWAY, "secret", "it is no access token"),
    (GATEWAY, "a.%%%.c", "it is no access token"),
    (GATEWAY, a_token(exp=1_700_000_000), "it has expired, at 2023-11-14T22:13:20Z. [unauthorized]"),
    (GATEWAY, a_token(exp=4_000_000_000), "another issuer"),
    (GATEWAY, a_token(), "export RECORDINGS_TOKEN=$(.venv/bin/python -m tools.local token --tenant acme)"),
    (FORBIDDEN, a_token(scope="recordings:read"), "it has recordings:read. [forbidden]"),
    (FORBIDDEN, a_token(), "it has no scope. [forbidden]"),
    (FORBIDDEN, "secret", "recordings:write"),
    (problem(403, "scope_missing"), "secret", "Do this. [scope_missing, request request-1]\nReading takes the scope"),
    (problem(403, "tenant_missing"), "secret", "docs/deploy.md"),
    (problem(403, "tenant_invalid"), "secret", "docs/deploy.md"),
    (problem(404, "room_not_found"), "secret", "`recordings rooms list` shows"),
    (problem(404, "recording_not_found"), "secret", "`recordings list` shows"),
    (problem(404, "no_active_recording"), "secret", "`recordings list --room room_1` shows"),
    (Reply(404, {"message": "Not Found"}), "secret", f"Is {URL} the address of the API?"),
    (problem(400, "recording_not_archivable"), "secret", "`recordings show rec_1` shows"),
    (problem(409, "recording_failed"), "secret", "`recordings show rec_1` shows"),
    (
        problem(409, "room_already_recording", recording=BLOCKER),
        "secret",
        "rec_9 is recording\n`recordings stop room_1` ends it.",
    ),
    (problem(409, "room_already_recording", recording=None), "secret", "in a minute"),
    (problem(409, "room_recording"), "secret", "`recordings stop room_1`"),
    (problem(409, "meeting_in_use"), "secret", "leave out --meeting"),
    (problem(409, "concurrent_update"), "secret", "run the command again"),
    (problem(409, "request_in_progress"), "secret", "run the command again in some seconds"),
    (problem(422, "idempotency_key_reused"), "secret", "another --idempotency-key"),
    (problem(500, "internal_error"), "secret", "this request id: request-1"),
    (problem(502, "provider_error"), "secret", "this request id: request-1"),
    (Reply(502, b"<html>"), "secret", "the time of the call"),
    (problem(504, "provider_timeout"), "secret", "Run the command again in a minute."),
    (problem(503, "tenant_throttled", retry_after="12"), "secret", "Run the command again in 12 s."),
]


@pytest.mark.parametrize(("reply", "token", "words"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_an_error_has_what_happened_and_the_next_step(reply: Reply, token: str, words: str) -> None:
    assert words in said(reply, token=token)


@pytest.mark.parametrize("code", sorted(errors.BY_CODE.keys() - {"invalid_request", "body_too_large", "conflict"}))
def test_every_code_of_the_api_has_a_next_step(code: str) -> None:
    status = {"not_found": 404}.get(code, 409)
    assert len(said(problem(status, code)).splitlines()) > 1


@pytest.mark.parametrize(
    ("document", "words"),
    [(WAIT, "with `recordings download rec_1 --wait 900`."), (ARCHIVED, "`recordings restore rec_1`, then wait")],
)
def test_an_error_before_the_file_is_stored_suggests_waiting(document: dict[str, object], words: str) -> None:
    steps = download_url(Policy(), "rec_1")
    assert isinstance(next(steps), Send)
    with pytest.raises(errors.NotReady) as caught:
        steps.send(Answer(202, httpx.Headers(), json.dumps(document).encode()))
    asked = Asked(url=URL, token="secret", timeout=30, recording="rec_1")
    assert words in "\n".join(explain(caught.value, asked))


@pytest.mark.parametrize(
    ("cause", "root", "case", "step"),
    [
        (httpx.ConnectError, ConnectionRefusedError(111, "refused"), "the connection was refused", "RECORDINGS_URL"),
        (httpx.ConnectError, socket.gaierror(-2, "unknown"), "The host of https://api.test is not known", "network"),
        (httpx.ConnectError, ssl.SSLError(1, "self-signed"), "The TLS connection to", "SSL_CERT_FILE"),
        (httpx.ConnectTimeout, None, "no connection after 30 s", "RECORDINGS_URL"),
        (httpx.ReadTimeout, None, "did not answer within 30 s", "--timeout SECONDS waits longer"),
        (httpx.RemoteProtocolError, None, "The connection to https://api.test broke: gone", "RECORDINGS_URL"),
    ],
)
def test_a_missing_response_is_explained_by_its_cause(
    cause: type[httpx.HTTPError], root: OSError | None, case: str, step: str
) -> None:
    raised = cause("gone")
    raised.__cause__ = root
    error = errors.NoAnswer("The API did not answer: gone")
    error.__cause__ = raised

    first, second = explain(error, Asked(url=URL, token="secret", timeout=30))

    assert case in first
    assert step in second


def test_the_claims_of_a_token_are_read_unverified() -> None:
    assert claims_of(a_token(scope="a b", exp=1)) == {"scope": "a b", "exp": 1}
    assert claims_of("e30.W10.c") is None


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def run(*words: str, **environment: str) -> str:
    known = {"RECORDINGS_URL": "http://127.0.0.1:9", "RECORDINGS_TOKEN": "secret", "COLUMNS": "80"}
    result = CliRunner().invoke(app, [*words], env=known | environment)
    assert result.exit_code in {Exit.USAGE, Exit.SERVER}
    assert "Traceback" not in result.output
    return result.stderr


def test_a_command_ends_after_the_timeout() -> None:
    with silent() as url:
        began = time.monotonic()
        words = run("--timeout", "0.2", "--retries", "0", "list", RECORDINGS_URL=url)
    assert "did not answer within 0.2 s" in words
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RECORDINGS_URL": ""}, "Put it into RECORDINGS_URL"),
        ({"RECORDINGS_TOKEN": ""}, "There is no access token."),
        ({"RECORDINGS_TOKEN": "añb"}, "a character that no token has"),
        ({"RECORDINGS_TOKEN": "a\nb"}, "a character that no token has"),
        ({"RECORDINGS_URL": "api.test"}, "not an address of the form https://host"),
        ({"RECORDINGS_URL": "http://api.test:port"}, "is not an address"),
        ({"RECORDINGS_URL": "http://api.test:99999"}, "99999"),
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "proxy"),
        ({"ALL_PROXY": "nonsense://127.0.0.1:9"}, "proxy"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "No such file"),
    ],
    ids=[
        "no url",
        "no token",
        "letters",
        "lines",
        "no scheme",
        "no port",
        "high port",
        "socks",
        "proxy",
        "certificate",
    ],
)
def test_a_wrong_environment_is_reported_without_a_traceback(environment: dict[str, str], words: str) -> None:
    assert words in run("--retries", "0", "list", **environment)


def test_an_error_of_a_command_names_its_room_or_recording(server: Server) -> None:
    server.route("POST", "/api/v1/rooms/room_7/recordings/start", [problem(409, "room_already_recording")])
    result = CliRunner().invoke(app, ["--url", server.url, "--token", "secret", "start", "room_7"])
    assert "in a minute" in result.stderr
    server.route("DELETE", "/api/v1/rooms/room_7", [problem(409, "room_recording")])
    result = CliRunner().invoke(app, ["--url", server.url, "--token", "secret", "rooms", "delete", "room_7"])
    assert "`recordings stop room_7` ends it." in result.stderr
