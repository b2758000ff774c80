"""Functions' processes are forks of one that has their libraries, and otherwise what new interpreters are."""

import io
import json
import os
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from tools.local import layers, workers
from tools.local.fork_server import LIBRARIES
from tools.local.processes import function_of

ARN = "arn:aws:lambda:eu-central-1:000000000000:function:mine"
LAYER_ARN = "arn:aws:lambda:eu-central-1:000000000000:layer:libraries:1"
REPLACED = (
    (lambda_runtime, "subprocess"),
    (lambda_runtime, "zipfile"),
    (lambda_runtime.Worker, "_spawn"),
    (lambda_svc, "_resolve_layer_zip"),
)
# In the place of a library that the server imports: it notes in which process that was.
LIBRARY = "import os\nimported_in = os.getpid()\nvariable = os.environ.get('VALUE')\n"
CODE = """
import os, random, sys
import requests

def handler(event, context):
    if event.get("fails"):
        raise ValueError("as asked")
    print("a line of the log")
    return {
        "pid": os.getpid(),
        "imported_in": requests.imported_in,
        "at_import": requests.variable,
        "value": os.environ["VALUE"],
        "chance": random.random(),
        "argv": sys.argv,
        "path": sys.path[:4],
        "cwd": os.getcwd(),
    }
"""


def archive(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return made.getvalue()


def layer(library: str = LIBRARY) -> bytes:
    return archive({"python/requests.py": library})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    """The processes that the emulator has started; all of them end with the test, and the servers too."""
    processes: list[Any] = []

    def popen(*args: Any, **options: Any) -> Any:
        processes.append(workers.popen(*args, **options))
        return processes[-1]

    for module, name in REPLACED:
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(layers, "SHARED", tmp_path)
    monkeypatch.setattr(workers, "LIBRARIES", ("requests", "absent"))
    monkeypatch.setattr(workers, "_servers", {})
    packed = layer()
    monkeypatch.setattr(layers, "_resolve", lambda _: packed)
    layers.install()
    workers.install()
    monkeypatch.setattr(lambda_runtime.subprocess, "Popen", popen)
    yield processes
    for server in workers._servers.values():
        server.close()
    for process in processes:
        process.kill()
        process.wait()
        # The emulator leaves them open.
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.fixture
def start(started: list[Any]) -> Iterator[Callable[..., lambda_runtime.Worker]]:
    """Makes workers of the emulator."""
    made: list[lambda_runtime.Worker] = []

    def make(code: str = CODE, **variables: str) -> lambda_runtime.Worker:
        config = {
            "FunctionArn": ARN, "FunctionName": "mine", "Runtime": "python3.13", "Handler": "app.handler",
            "Timeout": 60, "Layers": [LAYER_ARN], "Environment": {"Variables": variables},
        }  # fmt: skip
        made.append(lambda_runtime.Worker("mine", config, archive({"app.py": code})))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()


def result(worker: lambda_runtime.Worker, **event: Any) -> dict[str, Any]:
    response = worker.invoke(event, "request")
    assert response["status"] == "ok", response
    found: dict[str, Any] = response["result"]
    return found


def test_processes_share_the_import_of_libraries_and_nothing_else(start: Callable[..., lambda_runtime.Worker]) -> None:
    one, other = start(VALUE="1"), start(VALUE="2")
    first, second = result(one), result(other)

    assert len({first["pid"], second["pid"], os.getpid(), first["imported_in"]}) == 4
    assert first["imported_in"] == second["imported_in"]
    assert (first["value"], second["value"], first["at_import"]) == ("1", "2", None)
    assert first["chance"] != second["chance"]
    assert result(one)["pid"] == first["pid"] == one._proc.pid


def test_a_process_is_what_a_new_interpreter_is(
    start: Callable[..., lambda_runtime.Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    forked, plain = start(VALUE="1"), start(VALUE="1")
    seen = result(forked)
    # As on a system that has no descriptors of processes.
    monkeypatch.delattr(os, "pidfd_open")
    expected = result(plain)

    def same(reported: dict[str, Any], worker: lambda_runtime.Worker) -> str:
        text = json.dumps([reported[key] for key in ("value", "argv", "path", "cwd")])
        return text.replace(worker._tmpdir, "the folder")

    assert same(seen, forked) == same(expected, plain)
    assert "the folder" in same(seen, forked)
    assert (expected["imported_in"], expected["at_import"]) == (expected["pid"], "1")


def test_the_log_and_the_failure_of_a_function_arrive(start: Callable[..., lambda_runtime.Worker]) -> None:
    worker = start(VALUE="1")
    assert worker.invoke({}, "request")["log"] == "a line of the log"

    response = worker.invoke({"fails": True}, "request")

    assert (response["status"], response["error"]) == ("error", "as asked")
    assert "ValueError: as asked" in response["trace"]
    # The emulator starts another process after a failure.
    assert result(worker)["value"] == "1"


def test_a_killed_process_is_noticed_and_replaced(start: Callable[..., lambda_runtime.Worker]) -> None:
    worker = start(VALUE="1")
    first = result(worker)["pid"]
    assert function_of(first) == "mine"
    os.kill(first, signal.SIGKILL)
    process = worker._proc

    assert process.wait(timeout=60) == 0
    assert process.poll() == 0
    process.kill()
    process.terminate()
    assert result(worker)["pid"] != first
    assert function_of(first) is None


def test_a_process_that_goes_on_is_waited_for_no_longer_than_asked(
    start: Callable[..., lambda_runtime.Worker],
) -> None:
    worker = start(VALUE="1")
    result(worker)
    assert worker._proc.poll() is None
    with pytest.raises(lambda_runtime.subprocess.TimeoutExpired):
        worker._proc.wait(timeout=0)


def test_code_that_cannot_be_loaded_is_told(start: Callable[..., lambda_runtime.Worker]) -> None:
    with pytest.raises(RuntimeError, match="Worker init failed: No module named 'absent'"):
        start("import absent").invoke({}, "request")


def test_a_server_that_ended_is_replaced(start: Callable[..., lambda_runtime.Worker]) -> None:
    first = result(start(VALUE="1"))
    (server,) = workers._servers.values()
    server._process.kill()
    server._process.wait()

    second = result(start(VALUE="1"))

    assert second["imported_in"] != first["imported_in"]
    server.close()


def test_servers_of_older_layers_end(start: Callable[..., lambda_runtime.Worker], monkeypatch: Any) -> None:
    made = []
    for number in range(workers.MAX_SERVERS + 1):
        monkeypatch.setattr(lambda_svc, "_resolve_layer_zip", lambda _, n=number: layer(f"{LIBRARY}number = {n}"))
        result(start(VALUE="1"))
        made += [server for server in workers._servers.values() if server not in made]

    assert [server._process.returncode is not None for server in made] == [True, *[False] * workers.MAX_SERVERS]


def test_what_the_server_imports_exists() -> None:
    """A name that is no module any more would only make each start slower."""
    for name in LIBRARIES:
        assert __import__(name), name


def test_another_command_is_a_process_of_its_own() -> None:
    process = workers.popen([sys.executable, "-c", ""], env={}, cwd=str(Path.cwd()))
    assert process.wait() == 0
