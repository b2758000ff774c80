"""The dependencies layer has pydantic without the fields of TypedDicts, and pydantic works as before.

The test prunes a copy of the pydantic-core that is installed here, which has the version of the layer.
"""

import ast
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pydantic_core
import pytest

from tests.support.template import ROOT

LAYER = ROOT / "layers/dependencies"
INSTALLED = Path(pydantic_core.__file__).parent
# Prints which copy it uses, the JSON schema of a document, and the errors of a request.
PROGRAM = """
import json, pydantic_core.core_schema as schema
from recordings.http.requests import PutRoomBody
from recordings.http.responses.recordings import RecordingResponse
from pydantic import ValidationError
print(len(schema.CoreConfig.__annotations__))
print(json.dumps(RecordingResponse.model_json_schema(mode="serialization")))
try:
    PutRoomBody.model_validate_json('{"name": 1, "other": true}')
except ValidationError as error:
    print(error.json())
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(INSTALLED, folder / "pydantic_core", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, LAYER / "prune_pydantic.py", folder], check=True, timeout=60)
    return folder


def run(*path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": ":".join(map(str, (*path, ROOT / "layers/recordings")))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def without_fields(tree: ast.Module) -> ast.Module:
    """A module whose TypedDicts have no field, independently of the script."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and "TypedDict" in map(ast.unparse, node.bases):
            node.body = [one for one in node.body if not isinstance(one, ast.AnnAssign)] or [ast.Pass()]
    return tree


def test_the_layer_and_this_environment_have_the_same_pydantic() -> None:
    pins = (LAYER / "requirements.txt").read_text()
    for name in ("annotated-types", "pydantic", "pydantic-core", "pynamodb"):
        assert f"{name}=={version(name)} " in pins


def test_only_the_fields_of_typed_dicts_are_removed(packages: Path) -> None:
    before = (INSTALLED / "core_schema.py").read_text()
    after = (packages / "pydantic_core/core_schema.py").read_text()

    assert ast.dump(ast.parse(after)) == ast.dump(without_fields(ast.parse(before)))
    # A traceback names the same lines.
    assert after.count("\n") == before.count("\n")


def test_documents_and_errors_are_the_same(packages: Path) -> None:
    fields, *before = run()
    fields_left, *after = run(packages)

    assert (int(fields) > 0, int(fields_left)) == (True, 0)
    assert after == before
    assert len(after) == 2
