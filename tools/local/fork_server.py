"""Forks processes for functions from one that has imported the libraries of their layers.

Runs as a script with a socket, names of modules and folders of layers as arguments: `tools/local/workers.py` starts
it. Each message on the socket is a JSON object (script, cwd, env) with the descriptors of stdin, stdout and stderr. The
answer is the id of the process, with a descriptor of it. The server ends when the other end of the socket is closed.

Nothing of ours is imported here, and no code of a function: a fork imports these itself, with its own environment.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
import warnings
from importlib import import_module
from typing import Any, Final

# What the imports of functions share. None of them reads a function's own variables when it is imported.
LIBRARIES: Final[tuple[str, ...]] = (
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.tracing",
    "botocore.client",
    "botocore.httpsession",
    "botocore.session",
    "pydantic.functional_validators",
    "pydantic.json_schema",
    "pydantic.main",
    "pynamodb.models",
    "pynamodb.transactions",
    "requests",
    "ulid",
    "zoneinfo",
)
MAX_MESSAGE_BYTES: Final = 128 * 1024


def import_libraries(names: list[str]) -> None:
    """Import the modules that there are."""
    gc.disable()
    with warnings.catch_warnings():
        # A function filters these for itself.
        warnings.simplefilter("ignore")
        for name in names:
            try:
                import_module(name)
            except ImportError:
                # The function that needs it fails, as on Lambda.
                continue
    # Without this, a collection in a fork would write to every page that it shares.
    gc.freeze()
    gc.enable()


def serve(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each message. Returns the message and its descriptors in the fork, None when the server ends."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, 3)
        if not message:
            return None
        reap()
        process = os.fork()
        if process == 0:
            return json.loads(message), descriptors
        # It cannot be gone before this: nobody but `reap` waits for it.
        handle = os.pidfd_open(process)
        socket.send_fds(channel, [str(process).encode()], [handle])
        for descriptor in (handle, *descriptors):
            os.close(descriptor)


def reap() -> None:
    """Let go of the forks that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        # There is none.
        pass


def become(message: dict[str, Any], descriptors: list[int]) -> None:
    """Make this process what `python script` would be."""
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(message["cwd"])
    os.environ.clear()
    os.environ.update(message["env"])
    sys.argv = [message["script"]]
    sys.path[0] = os.path.dirname(message["script"])
    runpy.run_path(message["script"], run_name="__main__")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    channel = socket.socket(fileno=int(sys.argv[1]))
    before = [*sys.path]
    sys.path[1:1] = sys.argv[3:]
    import_libraries(sys.argv[2].split(","))
    sys.path[:] = before
    asked = serve(channel)
    channel.close()
    if asked is not None:
        become(*asked)


if __name__ == "__main__":
    main()
