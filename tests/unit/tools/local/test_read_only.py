"""What runs in Lambda writes no file: its code is read-only there, and /tmp is small and survives invocations."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
# Beside the package lie the scripts that build the layer.
SOURCES = [
    path for place in ("functions", "layers/recordings/recordings") for path in sorted((ROOT / place).rglob("*.py"))
]
MODULES = {"tempfile", "shutil", "sqlite3", "shelve", "dbm"}
METHODS = {"write_text", "write_bytes", "mkdir", "makedirs", "touch", "unlink", "symlink_to", "rename"}


def writes(source: str) -> list[str]:
    """What writes files, by its look."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in METHODS:
                found.append(called.attr)
            elif isinstance(called, ast.Name) and called.id == "open" and not reads(node):
                found.append("open")
    return found


def reads(call: ast.Call) -> bool:
    """Whether a call of `open` names a mode in which a file is only read."""
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return all(isinstance(mode, ast.Constant) and mode.value in {"r", "rb"} for mode in modes)


def test_code_in_lambda_writes_no_file() -> None:
    assert len(SOURCES) > 50
    assert {str(path.relative_to(ROOT)): found for path in SOURCES if (found := writes(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import tempfile",
        "from shutil import copy",
        "open('a', 'w')",
        "open('a', mode)",
        "open('a', mode='r+')",
        "path.write_text('a')",
        "os.makedirs('a')",
    ],
)
def test_what_writes_is_seen(source: str) -> None:
    assert writes(source)


@pytest.mark.parametrize("source", ["open('a')", "open('a', 'rb')", "open('a', mode='r')"])
def test_what_only_reads_is_no_writing(source: str) -> None:
    assert writes(source) == []
