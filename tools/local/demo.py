"""The main job on a local stack, step by step: `python -m tools.local.demo [--keep]`.

Deploys the real template, records a room, stops, waits for processing, lists, downloads, and checks the file: its
SHA-256 against what the stand-in recorded, its picture and sound by decoding them. Then archives it, restores a copy,
downloads that, deletes the recording and brings it back. Exits non-zero if anything differs.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
from recordings_client import Client, RecordingsError
from recordings_client.errors import NotReady, RoomAlreadyRecording
from recordings_client.models import Recording
from rich.console import Console
from rich.markup import escape

from tools.local import progress, stack

NAME = "demo"
ROOM = "cs101"
TIMEOUT = httpx.Timeout(30)
WITHIN_SECONDS = 60

console = Console(highlight=False, soft_wrap=True)


class Differs(Exception):
    """A result of the demo is wrong."""


def check(what: str, *, got: object, wanted: object) -> None:
    """Print that `got` is as wanted, or raise Differs."""
    if got != wanted:
        raise Differs(f"{what}: got {got!r}, wanted {wanted!r}")
    with progress.paused():
        console.print(f"  [green]✓[/] {escape(what)}: {escape(str(got))}")


def step[T](title: str, act: Callable[[], T]) -> T:
    """Run a step and print how long it took."""
    console.print(f"\n[bold]{escape(title)}[/]")
    began = time.monotonic()
    with progress.step(title, announced=True):
        result = act()
    console.print(f"  [dim]{time.monotonic() - began:.2f} s[/]")
    return result


class Shown(httpx.HTTPTransport):
    """Prints requests and responses."""

    quiet = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and print it with its response."""
        response = super().handle_request(request)
        if self.quiet or not request.url.path.startswith("/api/"):
            return response
        response.read()
        asked = f"{request.method} {request.url.raw_path.decode()} {request.content.decode()}"
        with progress.paused():
            console.print(f"  → {asked}\n  ← {response.status_code} {response.text}", markup=False)
        return response


def until(client: Client, shown: Shown, recording_id: str, done: Callable[[Recording], bool]) -> Recording:
    """Follow a recording and print its changes."""
    shown_line = ""
    shown.quiet = True
    try:
        for _ in range(WITHIN_SECONDS * 4):
            found = client.get(recording_id)
            step_now = found.progress.step if found.progress else ""
            state = found.archive.state if found.archive else ""
            line = " ".join(word for word in (found.status, step_now, state) if word)
            if line != shown_line:
                with progress.paused():
                    console.print(f"  · {line}", markup=False)
                shown_line = line
            if found.failure is not None:
                raise Differs(f"the recording failed: {found.failure}")
            if done(found):
                return found
            time.sleep(0.25)
    finally:
        shown.quiet = False
    raise Differs(f"still {shown_line} after {WITHIN_SECONDS} s")


def refused[E: RecordingsError](kind: type[E], act: Callable[[], object]) -> E:
    """Make a call that must fail with this error."""
    try:
        act()
    except kind as error:
        return error
    raise Differs(f"{kind.__name__} was expected, and it was allowed")


def decoded(file: Path) -> tuple[int, float]:
    """Decode a whole file, and return the number of frames and the seconds of sound."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()

    def run(*what: str) -> str:
        done = subprocess.run(
            [ffmpeg, "-v", "info", "-xerror", "-i", str(file), *what, "-f", "null", "-"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise Differs(f"the file does not play: {done.stderr[-300:]}")
        return done.stderr

    frames = re.findall(r"frame=\s*(\d+)", run("-map", "0:v:0"))
    sound = re.findall(r"time=(\d+):(\d+):([\d.]+)", run("-map", "0:a:0"))
    if not frames or not sound:
        raise Differs("the file has no picture or no sound")
    hours, minutes, seconds = sound[-1]
    return int(frames[-1]), int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def run() -> None:
    """Run all steps against a new stack."""
    running = step("Deploy template.yaml to a local stack", lambda: stack.up(NAME))
    shown = Shown()
    with (
        Client(running["api_url"], lambda: stack.token(running, "acme"), transport=shown) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        live(running, client, shown, Path(folder))


def live(running: dict[str, Any], client: Client, shown: Shown, folder: Path) -> None:
    """Run the whole life of one recording."""
    room = step("Register a room", lambda: client.put_room(ROOM, name="CS101 Lecture"))
    began = step("Start recording", lambda: client.start(ROOM))
    step("Start again: refused", lambda: refused(RoomAlreadyRecording, lambda: client.start(ROOM)))
    step("The lecture goes on for two seconds", lambda: time.sleep(2))
    stopped = step("Stop", lambda: client.stop(ROOM))
    check("the same recording was stopped", got=stopped.id, wanted=began.id)
    ready = step(
        "Follow it until it is ready", lambda: until(client, shown, began.id, lambda one: one.status == "ready")
    )
    page = step("List", lambda: client.list_recordings(limit=5))
    check("total", got=page.total, wanted=1)

    truth = next(
        one
        for one in httpx.get(f"{running['cloudflare_control_url']}/recordings", timeout=TIMEOUT).json()["data"]
        if one["meeting_id"] == room.cloudflare_meeting_id
    )
    file = folder / "recording.mp4"
    step("Download", lambda: client.download(began.id, file))
    check("SHA-256 is what Cloudflare recorded", got=sha256_of(file), wanted=truth["sha256"])
    check("size", got=file.stat().st_size, wanted=ready.size_bytes)
    frames, seconds = step("Decode every frame and sample", lambda: decoded(file))
    console.print(f"  {frames} frames, {seconds:.1f} s of sound")
    if not frames or ready.duration_seconds is None or abs(seconds - ready.duration_seconds) > 1.5:
        raise Differs(f"{frames} frames and {seconds} s of sound for {ready.duration_seconds} s of recording")

    step("Archive", lambda: client.archive(began.id))
    step(
        "Follow it into cold storage",
        lambda: until(client, shown, began.id, lambda one: one.archive is not None and one.archive.state == "stored"),
    )
    step("Download: not now", lambda: refused(NotReady, lambda: client.download_url(began.id)))
    step("Restore", lambda: client.restore(began.id, days=3, tier="expedited"))
    step(
        "Follow it until a copy can be read (Glacier takes minutes to hours; here it is seconds)",
        lambda: until(client, shown, began.id, lambda one: one.archive is not None and one.archive.state == "restored"),
    )
    copy = folder / "copy.mp4"
    step("Download the copy", lambda: client.download(began.id, copy))
    check("SHA-256 is what Cloudflare recorded", got=sha256_of(copy), wanted=truth["sha256"])

    step("Delete", lambda: client.delete(began.id))
    check("total", got=client.list_recordings().total, wanted=0)
    step("Bring it back", lambda: client.undelete(began.id))
    check("total", got=client.list_recordings().total, wanted=1)


@progress.shown()
def main() -> int:
    """Run the demo. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m tools.local.demo", description="The main job on a local stack."
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack up afterwards")
    keep = parser.parse_args().keep
    began = time.monotonic()
    try:
        run()
    except (Differs, RecordingsError, httpx.HTTPError, stack.StackError) as error:
        console.print(f"\n[red bold]✗ {escape(str(error))}[/]")
        return 1
    finally:
        if not keep:
            stack.down(NAME)
    console.print(f"\n[green bold]✓ All as it must be, in {time.monotonic() - began:.0f} s.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
