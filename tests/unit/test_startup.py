"""Garbage collection is off while a function's modules are imported, and on before its first request."""

import ast
import os
import subprocess
import sys

import pytest

from tests.support.template import ROOT

# Prints whether collection is on after the import of the package, after the frame, and how often it ran in between.
HTTP = "from recordings.http.endpoint import endpoint as frame; made = frame(scope=None)(lambda request: None)"
TASK = """\
from recordings.workflow.messages.base import NoOutput, TaskInput
from recordings.workflow.task import task
def handle(message: TaskInput) -> NoOutput: return NoOutput()
made = task(handle)
"""
FRAMES = {"endpoint", "task", "task_of", "waiting_task"}
PROGRAM = """\
import gc
import recordings
paused = not gc.isenabled()
before = sum(one["collections"] for one in gc.get_stats())
{frame}
print(paused, gc.isenabled(), sum(one["collections"] for one in gc.get_stats()) - before, gc.get_freeze_count() > 0)
"""


def run(program: str, **environment: str) -> list[str]:
    path = {"PYTHONPATH": str(ROOT / "layers/recordings")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | path | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("frame", [pytest.param(HTTP, id="HTTP"), pytest.param(TASK, id="task")])
def test_on_lambda_nothing_is_collected_until_the_handler_is_made(frame: str) -> None:
    paused, enabled, collections, frozen = run(PROGRAM.format(frame=frame), LAMBDA_TASK_ROOT="/var/task")

    assert (paused, enabled, collections, frozen) == ("True", "True", "0", "True")


def test_elsewhere_collection_stays_as_it_is() -> None:
    paused, enabled, *_, frozen = run(PROGRAM.format(frame=HTTP))

    assert (paused, enabled, frozen) == ("False", "True", "False")


def test_requests_works_without_the_package_that_the_layer_leaves_out() -> None:
    program = """\
import sys
sys.modules["charset_normalizer"] = sys.modules["chardet"] = None
import recordings, requests
print(requests.compat.chardet, requests.Session().get_adapter("https://example.com").max_retries.total)
"""
    path = {"PYTHONPATH": str(ROOT / "layers/recordings"), "LAMBDA_TASK_ROOT": "/var/task"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["None", "0"], "")


def test_no_adapter_asks_requests_to_guess_an_encoding() -> None:
    guessing = {
        (path.name, node.attr)
        for path in ROOT.glob("layers/recordings/recordings/adapters/**/*.py")
        if "requests" in path.read_text()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"text", "json", "apparent_encoding"}
    }
    assert guessing == set()


def test_every_function_is_made_by_a_frame_that_resumes_collection() -> None:
    framed = {}
    for path in sorted(ROOT.glob("functions/*/*/app.py")):
        tree = ast.parse(path.read_text())
        (handler,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler"]
        calls = [one.func if isinstance(one, ast.Call) else one for one in handler.decorator_list]
        framed[str(path)] = bool({one.id for one in calls if isinstance(one, ast.Name)} & FRAMES)
    assert framed
    assert [path for path, is_framed in framed.items() if not is_framed] == []
