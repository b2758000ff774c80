"""What a person sees while a local stack comes up or an audit runs."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.template import ROOT
from tools.local import progress

# One step, which is over when a line comes in.
SCRIPT = """
from tools.local import progress
progress.LINE_EVERY = 0.01
with progress.shown():
    with (
        progress.step("All", announced=True),
        progress.step("Build", lambda: "layer\\t3", announced={announced}),
    ):
        input()
    with progress.paused():
        print("built")
"""


def command(announced: bool) -> list[str]:
    return [sys.executable, "-c", SCRIPT.format(announced=announced)]


def test_without_being_asked_for_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.step("Build"):
        pass
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("announced", [False, True])
def test_a_terminal_has_a_live_line_that_is_taken_back(announced: bool) -> None:
    own, rclone = pty.openpty()
    running = subprocess.Popen(command(announced), cwd=ROOT, stdin=subprocess.PIPE, stdout=rclone, stderr=rclone)
    os.close(rclone)
    shown = ""
    while "Build … layer 3" not in shown:
        shown += os.read(own, 4096).decode()
    assert running.stdin
    running.stdin.write(b"\n")
    running.stdin.close()
    # A terminal gives what has come so far: a line may come in two pieces.
    while not shown.endswith("built\r\n"):
        shown += os.read(own, 4096).decode()
    assert running.wait() == 0
    os.close(own)
    end = shown.rpartition("\x1b[2K")[2]
    assert ("  Build: " in end) is not announced
    assert end.endswith("built\r\n")
    assert "All" not in shown


def test_a_pipe_gets_lines_from_the_beginning_and_then_now_and_then() -> None:
    running = subprocess.Popen(
        command(False), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stderr
    first, second = running.stderr.readline(), running.stderr.readline()
    output, more = running.communicate("\n")
    assert (first, second) == ("   0 s  Build …\n", "   0 s  Build … layer 3\n")
    assert output == "built\n"
    assert "\x1b" not in more
    assert running.returncode == 0


def test_the_last_line_of_a_log_is_where_a_program_stands(tmp_path: Path) -> None:
    log = tmp_path / "sam.log"
    assert progress.last_line(log) == ""
    log.write_text("Building layer\nBuilding function \n\n")
    assert progress.last_line(log) == "Building function"
