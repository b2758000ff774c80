"""Starts the processes of functions as forks of one that has their libraries, where the system can.

On one machine dozens of functions start at once, and three quarters of a start is the import of the same libraries.
The fork server (`tools/local/fork_server.py`) has imported them. What a function loads of its own, in its own process
and with its own variables, stays as it is. Without Linux's descriptors of processes each start is a new interpreter.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from ministack.core import lambda_runtime

from tools.local.fork_server import LIBRARIES

SERVER: Final = Path(__file__).with_name("fork_server.py")
LAYERS: Final = "_LAMBDA_LAYERS_DIRS"
# Variables that an interpreter or a library reads when it starts, so a server serves functions with the same values.
AT_START: Final = ("PYTHON", "PYDANTIC_")
# Deployments change layers. Servers of older ones end.
MAX_SERVERS: Final = 4

type Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]

_servers: dict[Key, "Server"] = {}
_lock = threading.Lock()


class Forked:
    """A process of a fork server, with the part of Popen's interface that the emulator uses.

    `returncode` is None while it runs, then 0: only its parent could know more.
    """

    def __init__(self, pid: int, handle: int, pipes: Sequence[int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._handle = handle
        weakref.finalize(self, os.close, handle)
        stdin, stdout, stderr = pipes
        self.stdin = os.fdopen(stdin, "w", buffering=1)
        self.stdout = os.fdopen(stdout)
        self.stderr = os.fdopen(stderr)

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises: subprocess.TimeoutExpired."""
        code = self._ended(None if timeout is None else int(timeout * 1000))
        if code is None:
            raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0)
        return code

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            # It has ended.
            pass

    def _ended(self, milliseconds: int | None) -> int | None:
        if self.returncode is None:
            look = select.poll()
            look.register(self._handle, select.POLLIN)
            if look.poll(milliseconds):
                self.returncode = 0
        return self.returncode


class Server:
    """A fork server for functions with certain layers."""

    def __init__(self, folders: Sequence[str], env: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._channel, rclone = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with rclone:
            # In the emulator's session, by which a stack is stopped.
            self._process = subprocess.Popen(
                [sys.executable, SERVER, str(rclone.fileno()), ",".join(LIBRARIES), *folders],
                env=env,
                stdin=subprocess.DEVNULL,
                pass_fds=[rclone.fileno()],
            )

    def fork(self, script: str, cwd: str, env: Mapping[str, str]) -> Forked:
        """Start a process. Raises: OSError: the server has ended."""
        message = json.dumps({"script": script, "cwd": cwd, "env": dict(env)}).encode()
        given, kept = _pipes()
        try:
            with self._lock:
                socket.send_fds(self._channel, [message], given)
                response, handles, _, _ = socket.recv_fds(self._channel, 64, 1, socket.MSG_CMSG_CLOEXEC)
            if not response:
                raise ConnectionResetError("the fork server has ended")
        except OSError:
            for descriptor in kept:
                os.close(descriptor)
            raise
        finally:
            for descriptor in given:
                os.close(descriptor)
        return Forked(int(response), handles[0], kept)

    def close(self) -> None:
        """End the server. The processes that it started go on."""
        self._channel.close()
        self._process.wait()


def _pipes() -> tuple[list[int], list[int]]:
    """Return the descriptors of stdin, stdout and stderr for a process, and the other ends."""
    stdin, writer = os.pipe()
    stdout, error = os.pipe(), os.pipe()
    return [stdin, stdout[1], error[1]], [writer, stdout[0], error[0]]


def popen(command: Sequence[str], *, env: Mapping[str, str], cwd: str, **options: Any) -> Any:
    """Start a process of the emulator: as a fork if it is a Python function with layers."""
    layers = [str(Path(layer, "python").resolve()) for layer in env.get(LAYERS, "").split(os.pathsep) if layer]
    if command[0] != sys.executable or not layers or not hasattr(os, "pidfd_open"):
        return subprocess.Popen(command, env=env, cwd=cwd, **options)
    # The last layer is found first (the emulator's worker script).
    folders = tuple(reversed(layers))
    at_start = {name: value for name, value in env.items() if name.startswith(AT_START)}
    key = folders, tuple(sorted(at_start.items()))
    try:
        return _server(key).fork(command[1], cwd, env)
    except OSError:
        # Killed, for want of memory or by hand. A new one serves.
        with _lock:
            _servers.pop(key, None)
        return _server(key).fork(command[1], cwd, env)


def _server(key: Key) -> Server:
    with _lock:
        if key not in _servers:
            while len(_servers) >= MAX_SERVERS:
                _servers.pop(next(iter(_servers))).close()
            folders, at_start = key
            _servers[key] = Server(folders, {**os.environ, **dict(at_start)})
        return _servers[key]


def install() -> None:
    """Put `popen` in the emulator's place."""
    names = ("PIPE", "DEVNULL", "STDOUT", "TimeoutExpired")
    lambda_runtime.subprocess = SimpleNamespace(Popen=popen, **{name: getattr(subprocess, name) for name in names})
