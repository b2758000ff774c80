"""The local Lambda keeps Lambda's limits."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core import lambda_runtime
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from tools.local import emulator
from tools.local.rules import functions


@pytest.mark.parametrize(
    ("kind", "length", "status"),
    [
        ("RequestResponse", functions.MAX_SYNC_BYTES, 200),
        ("RequestResponse", functions.MAX_SYNC_BYTES + 1, 413),
        ("Event", functions.MAX_ASYNC_BYTES, 200),
        ("Event", functions.MAX_ASYNC_BYTES + 1, 413),
        (None, functions.MAX_SYNC_BYTES + 1, 413),
    ],
)
def test_a_payload_that_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str | None, length: int, status: int
) -> None:
    async def taken(*request: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b""

    monkeypatch.setattr(functions, "_handle", taken)
    headers = {"X-Amz-Invocation-Type": kind} if kind else {}
    path = "/2015-03-31/functions/f/invocations"
    assert asyncio.run(functions.handle("POST", path, headers, bytes(length), {}))[0] == status
    assert asyncio.run(functions.handle("PUT", "/2015-03-31/functions/f/code", headers, bytes(length), {}))[0] == 200


def test_an_event_that_is_too_large_does_not_reach_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream, a rule or a route hands it over without a request to Lambda's API."""
    monkeypatch.setattr(emulator, "_execute", lambda *_: pytest.fail("it ran"))
    result = emulator.execute({}, {"a": "x" * functions.MAX_SYNC_BYTES}, "r")
    assert result["error"]
    assert result["body"]["errorType"] == "RequestTooLargeException"


@pytest.mark.parametrize(
    ("length", "failed"), [(functions.MAX_SYNC_BYTES, False), (functions.MAX_SYNC_BYTES + 99, True)]
)
def test_an_answer_that_is_too_large_is_a_failure(monkeypatch: pytest.MonkeyPatch, length: int, failed: bool) -> None:
    monkeypatch.setattr(emulator, "_execute", lambda *_: {"body": "x" * length, "log": ""})
    result = emulator.execute({}, {}, "r")
    assert bool(result.get("error")) == failed
    assert not failed or result["body"]["errorType"] == "Function.ResponseSizeTooLarge"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TABLE_NAME": "t", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/w"}, None),
        ({"AWS_REGION": "eu-west-1"}, "AWS_REGION"),
        ({"_HANDLER": "a"}, "_HANDLER"),
        ({"A": "x" * 4000}, None),
        ({"A": "x" * 4100}, "4KB"),
        ({f"N{number}": "é" * 20 for number in range(100)}, "4KB"),
    ],
)
def test_environment_variables_are_few_and_none_is_lambdas(variables: dict[str, str], words: str | None) -> None:
    refusal = functions.environment_refusal({"Environment": {"Variables": variables}})
    assert (refusal is None) if words is None else (refusal is not None and words in refusal)
    assert functions.environment_refusal({}) is None


def test_a_template_with_refused_variables_does_not_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    handlers = {"create": lambda *_: made.append("create"), "update": lambda *_: made.append("update")}
    monkeypatch.setitem(provisioners._RESOURCE_HANDLERS, "AWS::Lambda::Function", handlers)
    monkeypatch.setattr(lambda_svc, "handle_request", None)
    monkeypatch.setattr(lambda_runtime.Worker, "invoke", None)
    functions.install()
    bad = {"Environment": {"Variables": {"AWS_REGION": "here"}}}
    with pytest.raises(ValueError, match="AWS_REGION"):
        handlers["create"]("F", bad, "s")
    with pytest.raises(ValueError, match="AWS_REGION"):
        handlers["update"]("f", {}, bad, "s")
    handlers["create"]("F", {}, "s")
    assert made == ["create"]


class Worker:
    """As much of a worker as the watch looks at."""

    def __init__(self, process: subprocess.Popen[bytes], megabytes: int) -> None:
        self.config = {"MemorySize": megabytes}
        self._proc = process


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds 64 MiB, once it has said so."""
    code = "held = bytearray(64 << 20); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        made.stdout.readline()
        yield made
        made.kill()


@pytest.mark.parametrize(("megabytes", "killed"), [(32, True), (512, False)])
def test_a_worker_that_holds_more_than_its_memory_is_ended(
    monkeypatch: pytest.MonkeyPatch, process: subprocess.Popen[bytes], megabytes: int, killed: bool
) -> None:
    watch = functions.MemoryWatch()

    def invoked(worker: Any, event: Any) -> Any:
        watch.check()
        return process.wait(10) if killed else process.poll()

    monkeypatch.setattr(functions, "_invoke", invoked)
    worker: Any = Worker(process, megabytes)
    assert watch.invoke(worker, {}) == (-9 if killed else None)
    assert watch._watched == {}


def test_a_process_that_is_gone_holds_nothing(process: subprocess.Popen[bytes]) -> None:
    assert functions.resident_bytes(process.pid) > 64 << 20
    process.kill()
    process.wait(10)
    assert functions.resident_bytes(process.pid) == 0


def test_sizes_are_those_of_json_in_utf8() -> None:
    for value in ({"a": "é"}, ["x", 1, None], "\ud800", ""):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        assert functions.size(value) == len(text.encode("utf-8", "surrogatepass"))
