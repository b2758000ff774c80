import json
import socket
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recordings_client import __main__
from recordings_client.cli import EPILOG, Exit, app, exit_code
from recordings_client.errors import DownloadFailed, NoAnswer, RecordingFailed, RecordingsError, UnexpectedAnswer
from typer.testing import CliRunner, Result

from tests.integration.client.support import (
    ARCHIVED,
    BLOCKER,
    LINK,
    NOON,
    RECORDING,
    ROOM,
    ROW,
    WAIT,
    Reply,
    Server,
    a_recording,
    data,
    problem,
)
from tests.support.template import ROOT

type Run = Callable[..., Result]

META: dict[str, object] = {"total": 50, "limit": 20, "offset": 0, "next_cursor": "more"}
STARTED = {"id": "rec_1", "room_id": "room_1", "status": "recording", "started_at": NOON}
STOPPED = {"id": "rec_1", "room_id": "room_1", "status": "processing", "stopped_at": NOON}
SYNCED = {"synced_count": 1, "recordings": [{"id": "rec_1", "status": "ready"}]}
MOVED = {"id": "rec_1", "status": "archived", "archived_at": NOON}
COPY = {"state": "restoring", "storage_class": "GLACIER", "restored_until": None, "expected_at": NOON}
RESTORING = {"id": "rec_1", "status": "archived", "archive": COPY}
RECOVERING = {"id": "rec_1", "status": "processing", "message": "Recovery initiated."}
DELETED = {"id": "rec_1", "deleted": True, "deleted_at": NOON}
BACK = {"id": "rec_1", "status": "ready"}
ROOMS, ONE_ROOM, HERE = "/api/v1/rooms", "/api/v1/rooms/room_1", "/api/v1/recordings/rec_1"

# What is typed, what is sent, what is answered, what people read (a part of it), what scripts read.
COMMANDS: list[tuple[str, tuple[str, str, object], Reply, str, object]] = [
    (
        "rooms list",
        ("GET", ROOMS, "limit=20"),
        Reply(200, {"data": [ROOM], "meta": {"limit": 20, "next_cursor": "more"}}),
        "room_1",
        {"data": [ROOM], "meta": {"total": None, "limit": 20, "offset": None, "next_cursor": "more"}},
    ),
    ("rooms put room_1 --name Algebra", ("PUT", ONE_ROOM, {"name": "Algebra"}), data(ROOM, 201), "Algebra", ROOM),
    (
        "rooms put room_1 --name A --meeting m --no-record-on-start",
        ("PUT", ONE_ROOM, {"name": "A", "cloudflare_meeting_id": "m", "record_on_start": False}),
        data(ROOM),
        "records on start: no",
        ROOM,
    ),
    ("rooms show room_1", ("GET", ONE_ROOM, None), data(ROOM), "room_1: Algebra", ROOM),
    ("rooms delete room_1", ("DELETE", ONE_ROOM, None), data({}), "deleted", {"id": "room_1", "deleted": True}),
    (
        "start room_1 --max-duration 60",
        ("POST", f"{ONE_ROOM}/recordings/start", {"max_duration_seconds": 60}),
        data(STARTED, 201),
        "rec_1 is recording since 2026-01-06T12:00:00Z.",
        STARTED,
    ),
    (
        "stop room_1",
        ("POST", f"{ONE_ROOM}/recordings/stop", None),
        data(STOPPED),
        "rec_1 is processing.",
        STOPPED,
    ),
    ("sync room_1", ("POST", f"{ONE_ROOM}/recordings/sync", None), data(SYNCED), "rec_1 ready", SYNCED),
    (
        "list",
        ("GET", "/api/v1/recordings", "limit=20"),
        Reply(200, {"data": [ROW], "meta": META}),
        "rec_1      room_1  ready   0:30:00  524.3 MB  2026-01-06T12:00:00Z",
        {"data": [ROW], "meta": META},
    ),
    (
        "list --limit 5 --offset 3 --room room_1 --status ready --status failed"
        " --created-after 2026-01-06 --created-before 2026-01-07T12:00:00+02:00",
        (
            "GET",
            "/api/v1/recordings",
            "limit=5&offset=3&room_id=room_1&status=ready&status=failed"
            "&created_after=2026-01-06T00%3A00%3A00Z&created_before=2026-01-07T10%3A00%3A00Z",
        ),
        Reply(200, {"data": [], "meta": META}),
        "0 of 50",
        {"data": [], "meta": META},
    ),
    (
        "list --all --room room_1",
        ("GET", "/api/v1/recordings", "limit=100&room_id=room_1"),
        Reply(200, {"data": [ROW], "meta": META | {"next_cursor": None}}),
        "1 of 1",
        {"data": [ROW], "meta": {"total": 1, "limit": None, "offset": None, "next_cursor": None}},
    ),
    ("show rec_1", ("GET", HERE, None), data(RECORDING), "room_1 Algebra", RECORDING),
    (
        "download rec_1 --url-only --expires-in 60",
        ("GET", f"{HERE}/download", "expires_in=60"),
        Reply(200, LINK),
        "https://files.test/rec_1",
        LINK,
    ),
    ("archive rec_1", ("POST", f"{HERE}/archive", None), data(MOVED), "rec_1 is archived", MOVED),
    (
        "restore rec_1 --days 3 --tier bulk",
        ("POST", f"{HERE}/restore", {"days": 3, "tier": "bulk"}),
        data(RESTORING, 202),
        "expected at 2026-01-06T12:00:00Z",
        RESTORING,
    ),
    ("recover rec_1", ("POST", f"{HERE}/recover", None), data(RECOVERING), "Recovery initiated.", RECOVERING),
    ("delete rec_1", ("DELETE", HERE, None), data(DELETED), "rec_1 is deleted.", DELETED),
    ("undelete rec_1", ("POST", f"{HERE}/undelete", None), data(BACK), "rec_1 is back, and ready.", BACK),
    ("watch rec_1", ("GET", HERE, None), data(RECORDING), "ready", RECORDING),
]
EVERY_COMMAND = sorted({" ".join(typed.split()[: 2 if typed.startswith("rooms") else 1]) for typed, *_ in COMMANDS})


@pytest.fixture
def run(server: Server) -> Run:
    def run(typed: str, *more: str, **environment: str | None) -> Result:
        known = {"RECORDINGS_URL": server.url, "RECORDINGS_TOKEN": "secret", "TERM": "dumb", "COLUMNS": "100"}
        return CliRunner().invoke(app, ["--retries", "0", *typed.split(), *more], env={**known, **environment})

    return run


@pytest.mark.parametrize(
    ("typed", "sent", "response", "words", "document"), COMMANDS, ids=[typed for typed, *_ in COMMANDS]
)
def test_a_command_sends_its_request_and_prints_sentences(
    run: Run, server: Server, typed: str, sent: tuple[str, str, object], response: Reply, words: str, document: object
) -> None:
    server.route(sent[0], sent[1], [response])

    result = run(typed)

    assert (result.exit_code, result.stderr) == (Exit.OK, "")
    assert words in result.stdout
    assert server.asked == [sent]
    assert server.headers[0]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("typed", "sent", "response", "words", "document"), COMMANDS, ids=[typed for typed, *_ in COMMANDS]
)
def test_a_command_prints_json_for_scripts(
    run: Run, server: Server, typed: str, sent: tuple[str, str, object], response: Reply, words: str, document: object
) -> None:
    server.route(sent[0], sent[1], [response])

    result = run(typed, "--json")

    assert result.exit_code == Exit.OK
    assert json.loads(result.stdout) == document


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_every_command_has_help_without_settings(run: Run, command: str) -> None:
    result = run(command, "--help", RECORDINGS_URL=None, RECORDINGS_TOKEN=None)

    assert result.exit_code == Exit.OK
    assert "--json" in result.stdout
    assert "Exit codes: 0 done" in result.stdout


def test_the_table_above_has_every_command() -> None:
    rooms = next(group.typer_instance for group in app.registered_groups)
    assert rooms
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    names += [f"rooms {command.name}" for command in rooms.registered_commands]

    assert sorted(names) == EVERY_COMMAND


def test_the_help_names_every_exit_code() -> None:
    assert [int(one) for one in Exit] == [0, 1, 2, 3, 4, 5]
    assert all(f"{code} " in EPILOG for code in range(6))


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (problem(409, "room_recording"), Exit.REFUSED, "Do this. [room_recording, request request-1]"),
        (
            problem(400, "invalid_request", errors=[{"field": "days", "message": "is odd"}]),
            Exit.REFUSED,
            "days: is odd",
        ),
        (
            problem(409, "room_already_recording", recording=BLOCKER),
            Exit.REFUSED,
            "rec_9 is recording",
        ),
        (Reply(401, {"message": "Unauthorized"}), Exit.REFUSED, "unauthorized"),
        (problem(403, "scope_missing"), Exit.REFUSED, "scope_missing"),
        (problem(404, "room_not_found"), Exit.NOT_FOUND, "room_not_found"),
        (problem(500, "internal_error"), Exit.SERVER, "internal_error"),
        (problem(503, "throttled", retry_after="60"), Exit.SERVER, "throttled"),
        (Reply(502, b"<html>"), Exit.SERVER, "The API answered 502 (Bad Gateway)."),
        (Reply(200, b"<html>"), Exit.SERVER, "not JSON"),
    ],
)
def test_a_refusal_is_a_sentence_and_an_exit_code(
    run: Run, server: Server, response: Reply, code: Exit, words: str
) -> None:
    server.route("POST", f"{ONE_ROOM}/recordings/start", [response])

    result = run("start room_1")

    assert result.exit_code == code
    assert words in result.stderr.replace("\n", " ")
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_refusal_is_json_for_scripts(run: Run, server: Server) -> None:
    server.route("POST", f"{ONE_ROOM}/recordings/start", [problem(409, "room_already_recording", recording=BLOCKER)])

    result = run("start room_1 --json")

    assert result.exit_code == Exit.REFUSED
    assert json.loads(result.stderr) == {
        "code": "room_already_recording",
        "status": 409,
        "detail": "Do this.",
        "request_id": "request-1",
        "recording": BLOCKER,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoAnswer(), Exit.SERVER),
        (UnexpectedAnswer(), Exit.SERVER),
        (DownloadFailed(), Exit.SERVER),
        (RecordingFailed(), Exit.REFUSED),
        (RecordingsError(), Exit.REFUSED),
    ],
)
def test_every_error_has_an_exit_code(error: RecordingsError, code: Exit) -> None:
    assert exit_code(error) is code


def test_a_refused_connection_is_a_network_error(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = run("list", RECORDINGS_URL=f"http://127.0.0.1:{free.getsockname()[1]}")

    assert result.exit_code == Exit.SERVER
    assert "the connection was refused" in result.stderr
    assert "Is the local stack up?" in result.stderr


@pytest.mark.parametrize(
    ("typed", "environment"),
    [
        ("list", {"RECORDINGS_URL": None}),
        ("list", {"RECORDINGS_TOKEN": None}),
        ("list", {"RECORDINGS_TOKEN": " "}),
        ("list", {"RECORDINGS_URL": "api.test"}),
        ("list --limit 101", {}),
        ("list --status melted", {}),
        ("list --created-after noon", {}),
        ("list --offset 1 --cursor c", {}),
        ("list --all --offset 1", {}),
        ("list --unknown", {}),
        ("start", {}),
        ("show ..", {}),
        ("rooms put room_1", {}),
        ("restore rec_1 --days 31", {}),
        ("restore rec_1 --tier gold", {}),
        ("sing", {}),
    ],
)
def test_wrong_use_is_exit_code_2_and_sends_nothing(
    run: Run, server: Server, typed: str, environment: dict[str, str | None]
) -> None:
    result = run(typed, **environment)

    assert result.exit_code == Exit.USAGE
    assert server.asked == []


def test_settings_can_be_options(run: Run, server: Server) -> None:
    server.route("GET", ROOMS, [Reply(200, {"data": [], "meta": {}})])

    result = run(
        f"--url {server.url} --token other rooms list", RECORDINGS_URL="https://wrong.test", RECORDINGS_TOKEN="wrong"
    )

    assert result.exit_code == Exit.OK
    assert server.headers[0]["authorization"] == "Bearer other"


@pytest.mark.parametrize(
    "typed", ["start room_1", "stop room_1", "sync room_1", "rooms delete room_1", "archive rec_1"]
)
def test_a_key_makes_a_command_repeatable(run: Run, server: Server, typed: str) -> None:
    run(typed, "--idempotency-key", "mine")

    assert server.headers[0]["idempotency-key"] == "mine"


def test_all_rooms_are_listed_over_all_pages(run: Run, server: Server) -> None:
    pages = [{"data": [{**ROOM, "id": f"room_{n}"}], "meta": {"next_cursor": c}} for n, c in ((1, "two"), (2, None))]
    server.route("GET", ROOMS, [Reply(200, page) for page in pages])

    result = run("rooms list --all --json")

    assert [room["id"] for room in json.loads(result.stdout)["data"]] == ["room_1", "room_2"]


def test_ids_are_never_cut_off_in_a_table(run: Run, server: Server) -> None:
    long = "rec_" + "x" * 150
    server.route("GET", "/api/v1/recordings", [Reply(200, {"data": [{**ROW, "id": long}], "meta": META})])

    assert long in run("list").stdout


def test_a_name_cannot_control_the_terminal(run: Run, server: Server) -> None:
    room = {**ROOM, "name": "\x1b]0;gone\x07[red]bold[/red]"}
    server.route("GET", ONE_ROOM, [data(room)])
    server.route("GET", ROOMS, [Reply(200, {"data": [room], "meta": {}})])
    server.route("GET", HERE, [data(a_recording(room={"id": "room_1", "name": room["name"]}))])

    for typed in ("rooms show room_1", "rooms list", "show rec_1"):
        shown = run(typed).stdout
        assert "\x1b" not in shown
        assert "[red]bold[/red]" in shown


def test_a_running_copy_is_shown_with_its_progress(run: Run, server: Server) -> None:
    progress = {"step": "copy", "attempt": 1, "bytes_done": 5_000_000, "bytes_total": 20_000_000, "stalled": True}
    failure = {"code": "lost", "message": "It is lost."}
    changes: dict[str, Any] = {"progress": progress, "failure": failure, "archive_error": failure, "partial": True}
    server.route("GET", HERE, [data(a_recording(status="processing", archive=COPY, size_bytes=12, **changes))])

    shown = run("show rec_1").stdout

    for words in ("copy 5.0 MB of 20.0 MB (25 %) stalled", "(lost: It is lost.)", "restoring expected", "12 B"):
        assert words in shown


@pytest.fixture
def file(server: Server) -> bytes:
    content = b"film" * 10_000
    link = {**LINK, "download_url": f"{server.url}/file", "file_size": len(content)}
    server.route("GET", f"{HERE}/download", [Reply(200, link)])
    server.route("GET", "/file", [Reply(200, content, {"ETag": '"one"'})])
    server.route("GET", HERE, [data(RECORDING)])
    return content


def test_a_download_prints_the_path_of_the_file(run: Run, server: Server, file: bytes, tmp_path: Path) -> None:
    result = run("download rec_1 --to", str(tmp_path))

    assert result.exit_code == Exit.OK
    assert result.stdout.strip() == str(tmp_path / "rec_1.mp4")
    assert (tmp_path / "rec_1.mp4").read_bytes() == file
    assert "authorization" not in server.headers[-1]


def test_a_download_prints_the_path_as_json(run: Run, file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lesson.mp4"

    result = run("download rec_1 --json --no-resume -o", str(path))

    assert json.loads(result.stdout) == {"recording_id": "rec_1", "path": str(path), "size_bytes": len(file)}
    assert result.stderr == ""


def test_a_download_can_wait_until_there_is_a_file(run: Run, server: Server, file: bytes, tmp_path: Path) -> None:
    ready = Reply(200, {**LINK, "download_url": f"{server.url}/file", "file_size": len(file)})
    server.route("GET", f"{HERE}/download", [Reply(202, WAIT, {"Retry-After": "0"}), ready])

    assert run("download rec_1 --wait 60 --to", str(tmp_path)).exit_code == Exit.OK


@pytest.mark.parametrize(
    ("response", "more", "code"),
    [
        (Reply(202, WAIT, {"Retry-After": "10"}), "", Exit.REFUSED),
        (Reply(202, WAIT, {"Retry-After": "10"}), "--wait 5", Exit.TIMEOUT),
        (Reply(202, ARCHIVED), "", Exit.REFUSED),
        (problem(409, "recording_failed"), "--wait 5", Exit.REFUSED),
        (problem(404, "recording_not_found"), "--wait 5", Exit.NOT_FOUND),
    ],
)
def test_a_failed_download_says_why(
    run: Run, server: Server, tmp_path: Path, response: Reply, more: str, code: Exit
) -> None:
    server.route("GET", f"{HERE}/download", [response])

    result = run(f"download rec_1 {more} --to", str(tmp_path))

    assert result.exit_code == code
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_not_writable_is_wrong_use(run: Run, file: bytes, tmp_path: Path) -> None:
    result = run("download rec_1 --to", str(tmp_path / "nowhere" / "lesson.mp4"))

    assert result.exit_code == Exit.USAGE
    assert "No such file or directory" in result.stderr.replace("\n", " ")


def test_watching_prints_every_change_once(run: Run, server: Server) -> None:
    busy = a_recording(status="processing", version=2)
    server.route("GET", HERE, [data(one) for one in (a_recording(status="recording"), busy, busy, RECORDING)])

    result = run("watch rec_1 --interval 0.01 --json")

    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == ["recording", "processing", "ready"]
    assert len(server.asked) == 4


def test_watching_follows_an_archive_move_to_its_end(run: Run, server: Server) -> None:
    states = [a_recording(status="archived", archive={"state": state}) for state in ("moving", "stored")]
    server.route("GET", HERE, [data(one) for one in states])

    assert run("watch rec_1 --interval 0.01").stdout.splitlines() == ["archived moving", "archived stored"]


def test_watching_a_recording_that_fails_is_a_failure(run: Run, server: Server) -> None:
    server.route("GET", HERE, [data(a_recording(status="failed", failure={"code": "lost", "message": "It is lost."}))])

    result = run("watch rec_1")

    assert result.exit_code == Exit.REFUSED
    assert "It is lost." in result.stderr


def test_watching_stops_after_the_given_time(run: Run, server: Server) -> None:
    server.route("GET", HERE, [data(a_recording(status="recording"))])

    result = run("watch rec_1 --interval 0.01 --give-up-after 0.03")

    assert result.exit_code == Exit.TIMEOUT


def test_the_version_needs_no_settings(run: Run) -> None:
    result = run("--version", RECORDINGS_URL=None)

    assert result.exit_code == Exit.OK
    assert result.stdout.strip()


def test_without_its_extra_the_command_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "recordings_client.cli")

    with pytest.raises(SystemExit) as caught:
        __main__.main()

    assert caught.value.code == Exit.USAGE
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    extra = " ".join(f"'{one}'" for one in project["optional-dependencies"]["cli"])
    assert f"pip install {extra}\n" in capsys.readouterr().err
