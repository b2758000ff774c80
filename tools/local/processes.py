"""The processes of a local stack and their ports. Each leads a session of its own, by whose id all of it is stopped."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tools.local.stack_file import DEFAULT_PORT, PACKAGE_PARENT, REGION, StackError, folder, save

# On a small machine, dozens of functions that start at once need more than API Gateway's 30 s. A function behind the
# API is killed before: at 29 s times tools.local.timeouts.FACTOR.
GATEWAY_SECONDS = 150
# Below the ports that operating systems give to outgoing connections.
PORTS = range(20_000, 32_000)
# The emulator's name for the folder of a process: its function's name, and eight characters of chance.
FUNCTION_FOLDER = re.compile(r"/ministack-lambda-(?P<function>[^/]+)-[^/-]{8}/code$")


def start_processes(stack: dict[str, Any], home: Path, aws_port: int, standin_port: int, api_port: int) -> None:
    aws = stack["endpoints"]["aws"]
    python = [sys.executable, "-m"]
    _start(stack, "ministack", [*python, "tools.local.emulator"], {
        "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(aws_port), "IOT_MTLS_ENABLED": "0",
        "AUTH": "true", "TMPDIR": str(home / "tmp"), "MINISTACK_REGION": REGION,
        "LOCAL_CONCURRENCY_FILE": str(home / "concurrency"),
    })  # fmt: skip
    _start(stack, "standin", [
        *python, "tools.local.standin", "--port", str(standin_port), "--state-dir", str(home / "standin"),
        "--r2-endpoint", aws,
    ])  # fmt: skip
    _start(stack, "gateway", [
        *python, "tools.local.gateway", "--port", str(api_port), "--upstream", aws, "--home", str(home),
        "--seconds", str(GATEWAY_SECONDS),
    ])  # fmt: skip
    _await(stack, "ministack", f"{aws}/_ministack/health")
    _await(stack, "standin", f"{stack['cloudflare_api_url'].removesuffix('/client/v4')}/health")
    _await(stack, "gateway", stack["api_url"])


def _start(stack: dict[str, Any], process: str, command: list[str], more: dict[str, str] | None = None) -> None:
    env = clean_environment() | {"PYTHONPATH": str(PACKAGE_PARENT), "PYTHONUNBUFFERED": "1"} | (more or {})
    with (folder(stack["name"]) / f"{process}.log").open("wb") as log:
        # In a session of its own, whose id also stops its workers.
        child = subprocess.Popen(
            command, env=env, cwd=folder(stack["name"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    stack["pids"][process] = child.pid
    # Without a return code, this object would warn that the process still runs.
    child.returncode = 0
    save(stack)


def _await(stack: dict[str, Any], process: str, url: str, seconds: float = 120) -> None:
    log = folder(stack["name"]) / f"{process}.log"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not members(stack["pids"][process]):
            last = (log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"])[-1]
            raise StackError(f"{process} stopped after its start ({last}). See {log}.")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.1)
    raise StackError(f"{process} did not respond within {seconds:.0f} s. See {log}.")


def members(session: int) -> list[int]:
    """Return the running processes of a session. A worker can leave its process group, but not the session."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,sess=,pgid=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(r[0]) for r in rows if str(session) in (r[1], r[2]) and not r[3].startswith("Z")]


def function_of(pid: int) -> str | None:
    """Return the name in AWS of the function that a process runs, or None if it runs none or has ended.

    A process works in its function's folder. Its environment in /proc is that of the process it was forked from.
    """
    try:
        found = FUNCTION_FOLDER.search(str(Path(f"/proc/{pid}/cwd").readlink()))
    except OSError:
        return None
    return found["function"] if found else None


def stop_session(session: int) -> None:
    """Stop all processes of a session: SIGTERM, and SIGKILL after five seconds."""
    for sent, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for pid in members(session):
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                pass
        end = time.monotonic() + seconds
        while members(session) and time.monotonic() < end:
            time.sleep(0.05)


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that select an AWS account or configure the emulator or functions."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MINISTACK_", "LAMBDA_", "POWERTOOLS_"))}


def api_port_of(name: str, port: int | None) -> int:
    """Return the port for the API: `port`, else the usual one for the stack `default`, else a free one."""
    if port is not None:
        if not _is_free(port):
            raise StackError(f"Port {port} is in use. Stop the process that uses it, or pass another port with --port.")
        return port
    return DEFAULT_PORT if name == "default" and _is_free(DEFAULT_PORT) else free_port()


def free_port(*others: int) -> int:
    """Return a free port that no outgoing connection can take before a process listens there, and none of `others`."""
    drawn = random.SystemRandom().sample(PORTS, len(PORTS))
    return next(port for port in drawn if port not in others and _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Return whether a process accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
