"""The main job on a local stack, step by step: `python -m local.demo [--keep]`.

Deploys the real template, records a room, stops, waits for processing, lists, downloads, and checks the file: its
SHA-256 against what the stand-in recorded, its picture and sound by decoding them. Exits non-zero if anything differs.
"""

import argparse
import hashlib
import json
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
from rich.console import Console
from rich.markup import escape

from local import stack

NAME = "demo"
ROOM = "cs101"
TIMEOUT = httpx.Timeout(30)
READY_WITHIN_SECONDS = 60

console = Console(highlight=False, soft_wrap=True)


class Differs(Exception):
    """Something is not as it must be."""


def check(what: str, *, got: object, wanted: object) -> None:
    """Say that `got` is as wanted, or raise Differs."""
    if got != wanted:
        raise Differs(f"{what}: got {got!r}, wanted {wanted!r}")
    console.print(f"  [green]✓[/] {escape(what)}: {escape(str(got))}")


def step[T](title: str, act: Callable[[], T]) -> T:
    """Do one step and say how long it took."""
    console.print(f"\n[bold]{escape(title)}[/]")
    began = time.monotonic()
    result = act()
    console.print(f"  [dim]{time.monotonic() - began:.2f} s[/]")
    return result


class Api:
    """Calls the API and shows what was sent and answered."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)

    def call(self, method: str, path: str, *, status: int, body: object | None = None, quiet: bool = False) -> Any:
        """Send one request; raises Differs when the answer has another status."""
        answer = (
            self._client.request(method, path, json=body) if body is not None else self._client.request(method, path)
        )
        if not quiet or answer.status_code != status:
            console.print(f"  → {method} {path} {json.dumps(body) if body is not None else ''}", markup=False)
            console.print(f"  ← {answer.status_code} {answer.text}", markup=False)
        if answer.status_code != status:
            raise Differs(f"{method} {path} answered {answer.status_code}, wanted {status}")
        return answer.json()


def until_ready(api: Api, recording_id: str) -> Any:
    """Follow a recording through processing."""
    shown = ""
    for _ in range(READY_WITHIN_SECONDS * 4):
        found = api.call("GET", f"/api/v1/recordings/{recording_id}", status=200, quiet=True)["data"]
        progress = found["progress"] or {}
        line = f"{found['status']} {progress.get('step') or ''}".strip()
        if line != shown:
            console.print(f"  · {line}", markup=False)
            shown = line
        if found["status"] == "ready":
            return found
        if found["status"] == "failed":
            raise Differs(f"the recording failed: {found['failure']}")
        time.sleep(0.25)
    raise Differs(f"not ready after {READY_WITHIN_SECONDS} s")


def decoded(file: Path) -> tuple[int, float]:
    """Decode every frame and sample of a file: the number of frames, and the seconds of sound."""
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


def fetch(url: str, to: Path) -> str:
    """Download a file; gives its SHA-256."""
    digest = hashlib.sha256()
    with httpx.stream("GET", url, timeout=TIMEOUT) as answer, to.open("wb") as file:
        if answer.status_code != 200:
            raise Differs(f"the download URL answered {answer.status_code}")
        for chunk in answer.iter_bytes():
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def run() -> None:
    """All steps, against a stack that is started here."""
    running = step("Deploy template.yaml to a local stack", lambda: stack.up(NAME))
    api = Api(running["api_url"], stack.token(running, "acme", "recordings:read recordings:write"))
    room = step(
        "Register a room", lambda: api.call("PUT", f"/api/v1/rooms/{ROOM}", status=201, body={"name": "CS101 Lecture"})
    )["data"]
    began = step(
        "Start recording", lambda: api.call("POST", f"/api/v1/rooms/{ROOM}/recordings/start", status=201, body={})
    )["data"]
    step("Start again: refused", lambda: api.call("POST", f"/api/v1/rooms/{ROOM}/recordings/start", status=409))
    step("The lecture goes on for two seconds", lambda: time.sleep(2))
    stopped = step("Stop", lambda: api.call("POST", f"/api/v1/rooms/{ROOM}/recordings/stop", status=200))["data"]
    check("the same recording was stopped", got=stopped["id"], wanted=began["id"])
    ready = step("Follow it until it is ready", lambda: until_ready(api, began["id"]))
    page = step("List", lambda: api.call("GET", "/api/v1/recordings?limit=5", status=200))
    check("total", got=page["meta"]["total"], wanted=1)
    link = step(
        "Ask for a download URL", lambda: api.call("GET", f"/api/v1/recordings/{began['id']}/download", status=200)
    )
    truth = next(
        one
        for one in httpx.get(f"{running['cloudflare_control_url']}/recordings", timeout=TIMEOUT).json()["data"]
        if one["meeting_id"] == room["cloudflare_meeting_id"]
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recording.mp4"
        digest = step("Download", lambda: fetch(link["download_url"], file))
        check("SHA-256 is what Cloudflare recorded", got=digest, wanted=truth["sha256"])
        check("size", got=file.stat().st_size, wanted=link["file_size"])
        frames, seconds = step("Decode every frame and sample", lambda: decoded(file))
        console.print(f"  {frames} frames, {seconds:.1f} s of sound")
        if not frames or abs(seconds - ready["duration_seconds"]) > 1.5:
            raise Differs(f"{frames} frames and {seconds} s of sound for {ready['duration_seconds']} s of recording")


def main() -> int:
    """Run the demo; 0 when all was as it must be."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="The main job on a local stack.")
    parser.add_argument("--keep", action="store_true", help="leave the stack up afterwards")
    keep = parser.parse_args().keep
    began = time.monotonic()
    try:
        run()
    except (Differs, httpx.HTTPError, stack.StackError) as error:
        console.print(f"\n[red bold]✗ {escape(str(error))}[/]")
        return 1
    finally:
        if not keep:
            stack.down(NAME)
    console.print(f"\n[green bold]✓ All as it must be, in {time.monotonic() - began:.0f} s.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
