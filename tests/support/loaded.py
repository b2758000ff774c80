"""What each function loads, reads and builds when Lambda imports it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.template import ROOT, resources, template
from tools.environment import sample_environment
from tools.local.fork_server import LIBRARIES

# The libraries are imported once. Then each app.py is imported in a fork of its own: it sees nothing of the others.
SCRIPT = """
import importlib.util, json, os, sys

class Recorded(dict):
    def __init__(self, variables):
        super().__init__(variables)
        self.read = set()
    def get(self, name, default=None):
        self.read.add(name)
        return super().get(name, default)
    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)
    def __contains__(self, name):
        self.read.add(name)
        return super().__contains__(name)

def load(folder):
    path = os.path.join(folder, "app.py")
    spec = importlib.util.spec_from_file_location("app", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def report(folder, variables):
    os.environ = Recorded(os.environ | variables)
    from recordings import settings
    if variables:
        # It reads what a function requires. Here counts what the function uses.
        settings.require = lambda *groups: None
    try:
        app = load(folder)
        if "put_room" in vars(app):
            # Built by the first call that changes a room's meeting.
            app.put_room.release_meeting()
    except Exception as error:
        names = getattr(error, "variables", None)
        return {"error": repr(error), "missing": names}
    return {
        "modules": sorted(name for name in sys.modules if name.startswith("recordings.")),
        "variables": sorted(os.environ.read),
        "built": {name: type(value).__name__ for name, value in vars(app).items() if not name.startswith("_")},
    }

import gc
from importlib import import_module

for library in sys.argv[1:]:
    import_module(library)
gc.freeze()
assert not any(name == "recordings" or name.startswith("recordings.") for name in sys.modules)
for line in sys.stdin:
    folder, variables = json.loads(line)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writer, "w") as out:
            json.dump(report(folder, variables), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as done:
        text = done.read()
    os.waitpid(child, 0)
    print(text, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`modules` of ours, the environment's `variables` that were read, and the class of each name in the module."""

    modules: frozenset[str]
    variables: frozenset[str]
    built: dict[str, str]


@cache
def loaded() -> dict[str, Loaded]:
    """Each function by its logical id, imported alone with the variables that the template gives it."""
    functions = resources("AWS::Serverless::Function")
    found = _run([(body["CodeUri"], environment(name)) for name, body in functions.items()])
    for name, report in zip(functions, found, strict=True):
        assert "error" not in report, f"{name}: {report['error']}"
    return {
        name: Loaded(frozenset(report["modules"]), frozenset(report["variables"]), report["built"])
        for name, report in zip(functions, found, strict=True)
    }


@cache
def required() -> dict[str, list[str]]:
    """The variables that each function names as missing when its environment is empty."""
    functions = resources("AWS::Serverless::Function")
    found = _run([(body["CodeUri"], {}) for body in functions.values()])
    for name, report in zip(functions, found, strict=True):
        assert report.get("missing") is not None, f"{name}: {report}"
    return {name: report["missing"] for name, report in zip(functions, found, strict=True)}


def environment(name: str) -> dict[str, str]:
    """The variables that the template gives a function, with values of the right form."""
    return sample_environment(template(), resources("AWS::Serverless::Function")[name])


def _run(asked: list[tuple[str, dict[str, str]]]) -> list[dict[str, Any]]:
    """The report of each function, by the folder and the variables that are asked for."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, *LIBRARIES],
        input="".join(f"{json.dumps(one)}\n" for one in asked),
        env={
            "PYTHONPATH": str(ROOT / "layers/recordings"),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(asked), done.stderr
    return found
