"""The layers have the methods of every dataclass that the functions make, compiled from the same source.

The script reads the packages that are installed here, which have the versions of the layer.
"""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pydantic
import pytest

from tests.support.template import ROOT, resources, template
from tools.environment import sample_environment

SCRIPT = ROOT / "layers/dependencies/compile_dataclasses.py"
INSTALLED = Path(pydantic.__file__).parents[1]
# One class for each thing that the source of the methods depends on.
VARIANTS = '''
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Annotated, ClassVar
import dataclasses
import typing

LIMIT = 3
OPTIONS = {"slots": True}

@dataclass
class Plain:
    first: int
    second: str | None = None

@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    first: Annotated[int, "unit"]
    second: list[int] = field(default_factory=lambda: [LIMIT])

@dataclasses.dataclass(repr=True, **OPTIONS)
class Inherits(Plain):
    third: str = field(default="x", repr=False, compare=False, kw_only=True)

@dataclass(order=True, unsafe_hash=True)
class Ordered:
    first: int
    count: ClassVar[int] = 0
    limit: typing.ClassVar[int] = LIMIT

@dataclass(eq=False, repr=False)
class Unequal:
    first: int

@dataclass(frozen=True)
class OwnHash:
    first: int
    _: KW_ONLY
    second: int

    def __hash__(self) -> int:
        return self.first

@dataclass
class Checked:
    first: int = field(init=False)
    second: InitVar[int]

    def __post_init__(self, second: int) -> None:
        self.first = second

class Outer[T]:
    @dataclass(frozen=True)
    class Inner[S]:
        first: T
        second: S

@dataclass
class Empty:
    """Nothing."""
'''
# Imports every module of ours. Prints how many those are, and the module of each dataclass that Python compiled.
IMPORTS = """
import importlib, pkgutil, sys
modules = []
def record(event, arguments):
    if event == "compile" and (arguments[0] or b"").startswith(b"def __create_fn__("):
        frame = sys._getframe(1)
        while "dataclasses" in frame.f_globals["__name__"]:
            frame = frame.f_back
        modules.append(frame.f_globals["__name__"])
sys.addaudithook(record)
import recordings
for module in pkgutil.walk_packages(recordings.__path__, "recordings."):
    importlib.import_module(module.name)
print(sum(name.startswith("recordings.") for name in sys.modules), *modules)
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_dataclasses", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(source: str) -> list[str]:
    """What `dataclasses` executes when a module is imported."""
    program = """
import dataclasses, json, sys
sources = []
def record(source, *namespaces):
    sources.append(source)
    exec(source, *namespaces)
dataclasses.exec = record
exec(sys.stdin.read(), {"__name__": "__main__"})
print(json.dumps(sources))
"""
    done = subprocess.run([sys.executable, "-c", program], input=source, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def environment() -> dict[str, str]:
    """The variables of all functions."""
    found: dict[str, str] = {}
    for function in resources("AWS::Serverless::Function").values():
        found |= sample_environment(template(), function)
    return found


def packages() -> list[str]:
    """The packages whose dataclasses the dependencies layer has, from its Makefile."""
    found = re.search(r"^DATACLASSES := (.*)$", (SCRIPT.parent / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split()


def test_the_script_finds_the_source_that_dataclasses_generates(script: ModuleType) -> None:
    expected = recorded(VARIANTS)

    assert len(expected) == 9
    assert sorted(script.sources_of({"variants": ast.parse(VARIANTS)})["variants"]) == sorted(expected)


def test_a_base_may_be_in_another_module(script: ModuleType) -> None:
    derived = "@dataclass\nclass Derived(Plain):\n    third: int = 3\n"

    found = script.sources_of({"derived": ast.parse(derived), "variants": ast.parse(VARIANTS)})

    assert found["derived"] == recorded(VARIANTS + derived)[-1:]


def test_no_function_compiles_a_dataclass(tmp_path: Path) -> None:
    for name in packages():
        (tmp_path / name).symlink_to(INSTALLED / name)
    (tmp_path / "recordings").symlink_to(ROOT / "layers/recordings/recordings")
    for layer, found in (("dependencies", packages()), ("recordings", ["recordings"])):
        subprocess.run([sys.executable, SCRIPT, tmp_path, layer, *found], check=True, timeout=60)

    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        env=environment()
        | {
            "PYTHONPATH": str(tmp_path),
            "LAMBDA_TASK_ROOT": "/var/task",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    modules, *compiling = done.stdout.split()
    assert int(modules) > 100
    assert sorted(set(compiling)) == []


def test_both_layers_have_one_script() -> None:
    # SAM builds a layer from its own folder, so the second layer has a link.
    assert (ROOT / "layers/recordings/compile_dataclasses.py").resolve() == SCRIPT
