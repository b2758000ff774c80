"""On a local stack functions are killed late, and do not notice."""

import io
import zipfile
from typing import Any

import pytest
from ministack.core import lambda_runtime

from tools.local import emulator
from tools.local.timeouts import DEFAULT_SECONDS, FACTOR, OWN, install, with_longer_timeout

CONFIG = {"FunctionName": "f", "Timeout": 29}


def test_a_function_is_killed_late_and_has_its_own_timeout() -> None:
    longer = with_longer_timeout(CONFIG)

    assert longer == {"FunctionName": "f", "Timeout": 29 * FACTOR, OWN: 29}
    assert CONFIG == {"FunctionName": "f", "Timeout": 29}
    assert with_longer_timeout({})["Timeout"] == DEFAULT_SECONDS * FACTOR


@pytest.mark.parametrize("func", [{"config": CONFIG}, CONFIG], ids=["with its code", "configuration alone"])
def test_the_emulator_runs_every_function_so(monkeypatch: pytest.MonkeyPatch, func: dict[str, Any]) -> None:
    ran: list[dict[str, Any]] = []

    def run(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        ran.append(func.get("config") or func)
        return {"body": None}

    monkeypatch.setattr(emulator, "_execute", run)

    emulator.execute(func, {}, "id")

    assert [(one["Timeout"], one[OWN]) for one in ran] == [(29 * FACTOR, 29)]


SLOW = """
import time

def handler(event, context):
    began = context.get_remaining_time_in_millis()
    while context.get_remaining_time_in_millis():
        time.sleep(0.01)
    return began
"""


def test_a_worker_outlives_its_timeout_and_counts_down_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_runtime.Worker, "_spawn", lambda_runtime.Worker._spawn)
    install()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", SLOW)
    arn = "arn:aws:lambda:eu-central-1:000000000000:function:slow"
    config = {"FunctionArn": arn, "Runtime": "python3.13", "Handler": "app.handler", "Timeout": 1}
    worker = lambda_runtime.Worker("slow", with_longer_timeout(config), archive.getvalue())
    try:
        result = worker.invoke({}, "id")
    finally:
        process = worker._proc
        worker.kill()
        # The emulator leaves them open.
        for pipe in (process.stdin, process.stdout, process.stderr) if process else ():
            pipe.close()

    assert result["status"] == "ok", result
    assert 0 < result["result"] <= 1000
