"""What a terminal shows: every id whole at every width, and what a command is waiting for."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from recordings_client.terminal import facts, table

from tests.integration.client.support import LINK, NOON, RECORDING, ROOM, ROW, WAIT, Reply, Server, a_recording, data
from tests.support.template import ROOT

ID = "rec_01KC0000000000000000000000"
LONG_ROOM = "room_" + "x" * 60
ROWS = [ROW | {"id": f"{ID[:-1]}{number}", "room_id": LONG_ROOM if number == 3 else "cs101"} for number in range(4)]
META = {"total": 4, "limit": 20, "offset": 0, "next_cursor": None}
PYTHONPATH = str(ROOT / "clients/python/src")


class Terminal:
    """The command in a pseudo terminal of a width; what it shows can be waited for."""

    def __init__(self, server: Server, columns: int, *words: str) -> None:
        self._ours, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH, "TERM": "xterm", "NO_PROXY": "127.0.0.1"}
        environment |= {"RECORDINGS_URL": server.url, "RECORDINGS_TOKEN": "secret", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recordings_client", *words],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            start_new_session=True,
            # A shell starts commands in the background with interrupts ignored, and the tests may be one of them.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(terminal)
        self.shown = ""

    def until(self, words: str) -> str:
        """Read on until the words are there."""
        while words not in self.shown:
            more = self._read()
            assert more, f"{words!r} is not in {self.shown!r}"
        return self.shown

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> str:
        """Everything, when the command is over."""
        while self._read():
            pass
        self.code = self._process.wait()
        os.close(self._ours)
        return self.shown

    def _read(self) -> str:
        try:
            more = os.read(self._ours, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            return ""
        self.shown += more
        return more


@contextmanager
def held(server: Server, method: str, path: str, then: Reply) -> Iterator[threading.Event]:
    """The answer to a call comes when the event is set."""
    go = threading.Event()

    def response(handler: BaseHTTPRequestHandler) -> None:
        go.wait(60)
        handler.send_response(then.status)
        for name, value in then.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(then.content)))
        handler.end_headers()
        handler.wfile.write(then.content)

    server.route(method, path, [response])
    try:
        yield go
    finally:
        go.set()


@pytest.mark.parametrize("columns", [pytest.param(40, id="paragraphs"), pytest.param(120, id="table")])
def test_a_list_keeps_every_id_whole(server: Server, columns: int) -> None:
    server.route("GET", "/api/v1/recordings", [Reply(200, {"data": ROWS, "meta": META})])
    terminal = Terminal(server, columns, "list")
    lines = terminal.end().splitlines()

    assert terminal.code == 0
    for row in ROWS:
        # In a line where it stands first, and unbroken, so that two clicks mark it.
        assert [line.split()[0] for line in lines if str(row["id"]) in line] == [row["id"]]
    assert sum(LONG_ROOM in line for line in lines) == 1
    assert all(len(line) <= columns for line in lines if LONG_ROOM not in line)


def test_rooms_and_one_recording_keep_every_id_whole(server: Server) -> None:
    server.route("GET", "/api/v1/rooms", [Reply(200, {"data": [ROOM | {"active_recording_id": ID}], "meta": {}})])
    assert ID in Terminal(server, 40, "rooms", "list").end()
    server.route("GET", f"/api/v1/recordings/{ID}", [data(a_recording(id=ID))])
    assert ID in Terminal(server, 40, "show", ID).end()


def test_a_pipe_gets_one_line_for_each_row() -> None:
    rows = [[str(row["id"]), LONG_ROOM, "ready"] for row in ROWS]
    lines = [*table(("recording", "room", "status"), rows, width=None)]
    assert [line.split() for line in lines[1:]] == rows


def test_a_table_that_fits_stays_a_table_and_counts_wide_letters() -> None:
    rows = [("a", "日本", "x"), ("b", None, "\x1b[1m")]
    assert [*table(("id", "name", "last"), rows, width=15)] == [
        "id  name  last",
        "a   日本  x",
        "b   –     \N{REPLACEMENT CHARACTER}[1m",
    ]
    assert [*table(("id", "name", "last"), rows[:1], width=10)] == ["a", "  name 日本", "  last x"]
    assert [*table(("id", "name"), [], width=1)] == []


def test_a_value_that_does_not_fit_has_its_own_line() -> None:
    assert [*facts([("id", "12345"), ("name", "x")], width=9)] == ["id", "  12345", "name  x"]


def test_a_slow_response_shows_a_waiting_line(server: Server) -> None:
    with held(
        server, "POST", "/api/v1/rooms/room_1/recordings/sync", data({"synced_count": 0, "recordings": []})
    ) as go:
        terminal = Terminal(server, 60, "sync", "room_1")
        terminal.until(f"Waiting for {server.url} to answer")
        go.set()
        shown = terminal.end()
    assert terminal.code == 0
    # The live line is taken back.
    assert "\r\x1b[2K0 imported or changed." in shown


def test_a_slow_response_into_a_pipe_writes_lines_to_stderr(server: Server) -> None:
    with held(server, "GET", "/api/v1/rooms", Reply(200, {"data": [], "meta": {}})) as go:
        command = [sys.executable, "-m", "recordings_client", "--url", server.url, "--token", "secret", "rooms", "list"]
        running = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": PYTHONPATH},
        )
        assert running.stderr
        line = running.stderr.readline()
        go.set()
        output, errors = running.communicate()
    assert line.endswith(f" s  Waiting for {server.url} to answer\n")
    assert "\x1b" not in line + output + errors
    assert (running.returncode, errors) == (0, "")


def test_waiting_for_a_file_shows_what_the_api_says(server: Server, tmp_path: Path) -> None:
    link = LINK | {"download_url": f"{server.url}/file", "file_size": 4}
    path = "/api/v1/recordings/rec_1"
    server.route("GET", f"{path}/download", [Reply(202, WAIT, {"Retry-After": "1"}), Reply(200, link)])
    server.route("GET", path, [data(RECORDING)])
    server.route("GET", "/file", [Reply(200, b"film", {"ETag": '"one"'})])
    terminal = Terminal(server, 100, "download", "rec_1", "--wait", "60", "--to", str(tmp_path))
    terminal.until("Recording is still being processed. Asking again after 1 s")
    shown = terminal.end()
    assert terminal.code == 0
    assert "Downloading rec_1" in shown
    assert (tmp_path / "rec_1.mp4").read_bytes() == b"film"


def test_a_download_into_a_pipe_writes_its_progress(server: Server, tmp_path: Path) -> None:
    go = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("ETag", '"one"')
        handler.send_header("Content-Length", "2000")
        handler.end_headers()
        handler.wfile.write(b"x" * 1000)
        handler.wfile.flush()
        go.wait(60)
        handler.wfile.write(b"x" * 1000)

    link = LINK | {"download_url": f"{server.url}/file", "file_size": 2000}
    server.route("GET", "/api/v1/recordings/rec_1/download", [Reply(200, link)])
    server.route("GET", "/file", [slow])
    command = [sys.executable, "-m", "recordings_client", "--url", server.url, "--token", "secret"]
    running = subprocess.Popen(
        [*command, "download", "rec_1", "--to", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": PYTHONPATH},
    )
    assert running.stderr
    try:
        assert running.stderr.readline().endswith(" s  Downloading rec_1: 1.0 kB of 2.0 kB (50 %)\n")
    finally:
        go.set()
        output, _ = running.communicate()
    assert output == f"{tmp_path / 'rec_1.mp4'}\n"


def test_an_interrupt_shows_no_traceback(server: Server) -> None:
    with held(server, "GET", "/api/v1/rooms", Reply(200, {"data": [], "meta": {}})):
        terminal = Terminal(server, 60, "rooms", "list")
        terminal.until("Waiting for")
        terminal.interrupt()
        shown = terminal.end()
    assert terminal.code == 130
    assert "Traceback" not in shown


def test_a_closed_pipe_shows_no_traceback(server: Server) -> None:
    rows = [ROW | {"id": f"rec_{number}", "created_at": NOON} for number in range(100)] * 40
    server.route("GET", "/api/v1/recordings", [Reply(200, {"data": rows, "meta": META})])
    done = subprocess.run(
        f"{sys.executable} -m recordings_client --url {server.url} --token secret list | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": PYTHONPATH},
    )
    assert (done.stderr, done.stdout.split()[0]) == ("", "recording")
