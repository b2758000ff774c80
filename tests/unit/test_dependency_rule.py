"""Every contract of the dependency rule fails on a violation, and each package imports only what it may."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract

from tests.support.template import ROOT

PACKAGE = "layers/recordings/recordings"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in SETTINGS["contracts"]}
TYPES: dict[str, type[Contract]] = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}

# For each contract an import that violates it.
VIOLATIONS = {
    "layers": ("recordings.domain.room", "recordings.services.rooms.get_room"),
    "functions": ("functions.api.get_room.app", "recordings.adapters.dynamodb.rooms"),
    "one-function": ("functions.api.get_room.app", "functions.api.list_rooms.app"),
    "inner": ("recordings.services.rooms.get_room", "recordings.observability"),
    "frames": ("recordings.http.endpoint", "boto3"),
    "adapters": ("recordings.adapters.storage.bucket", "recordings.adapters.dynamodb.rooms"),
    "aws": ("recordings.adapters.aws.errors", "recordings.adapters.storage.bucket"),
    "base": ("recordings.settings", "recordings.tracing"),
    "base-domain": ("recordings.request_context", "recordings.domain.room"),
    "admin": ("admin.reconcile", "tools.environment"),
    "circles": ("recordings.http.problems", "recordings.http.endpoint"),
}


@pytest.fixture(scope="module")
def graph() -> Iterator[grimp.ImportGraph]:
    """All imports of this tree."""
    configure()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "layers/recordings"))
        patch.syspath_prepend(str(ROOT))
        yield grimp.build_graph(*SETTINGS["root_packages"], include_external_packages=True, cache_dir=None)


def is_kept(contract: str, graph: grimp.ImportGraph) -> bool:
    # As import-linter's own reader of this file: its fields take text.
    options = {name: str(value) if isinstance(value, bool) else value for name, value in CONTRACTS[contract].items()}
    checked = TYPES[CONTRACTS[contract]["type"]](CONTRACTS[contract]["name"], SETTINGS, options)
    # A check may remove imports from the graph.
    return checked.check(deepcopy(graph), verbose=False).kept


def test_every_contract_has_a_violation() -> None:
    assert CONTRACTS.keys() == VIOLATIONS.keys()


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_breaks_its_contract(contract: str, graph: grimp.ImportGraph) -> None:
    importer, imported = VIOLATIONS[contract]
    assert importer in graph.modules
    assert imported.split(".")[0] == "boto3" or imported in graph.modules
    assert is_kept(contract, graph)
    violated = deepcopy(graph)
    violated.add_import(importer=importer, imported=imported)
    assert not is_kept(contract, violated)


def circles(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Imports of one module by another that imports it in turn, by whatever detour."""
    return {
        (importer, imported)
        for importer in graph.modules
        if importer.startswith("recordings.")
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.startswith("recordings.") and graph.find_shortest_chain(imported, importer) is not None
    }


def test_no_module_imports_itself_by_a_detour(graph: grimp.ImportGraph) -> None:
    """The contract looks at folders of services only as wholes, not into them."""
    real = deepcopy(graph)
    for ignored in CONTRACTS["circles"]["ignore_imports"]:
        importer, imported = ignored.split(" -> ")
        real.remove_import(importer=importer, imported=imported)
    assert circles(real) == set()
    real.add_import(importer="recordings.services.rooms.meeting_owner", imported="recordings.services.rooms.put_room")
    assert circles(real) != set()


def test_the_linter_reads_the_folders_of_functions(tmp_path: Path) -> None:
    """They have no __init__.py. What is planted there must be seen by the command that `make check` runs."""
    for folder in (PACKAGE, "functions", "admin", "tools"):
        ignored = shutil.ignore_patterns("__pycache__", "node")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "functions/api/get_room/planted.py").write_text(
        "import recordings.adapters.dynamodb.rooms\nimport functions.api.list_rooms.app\n"
    )
    done = subprocess.run(
        [ROOT / ".venv/bin/lint-imports", "--no-cache"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "layers/recordings", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    broken = {line.removesuffix("BROKEN").strip() for line in done.stdout.splitlines() if line.endswith("BROKEN")}
    assert broken == {CONTRACTS["functions"]["name"], CONTRACTS["one-function"]["name"]}, done.stdout + done.stderr


# ---------------------------------------------------------------- what a package may import at all

# import-linter forbids what is named. These packages may import only what is named: of ours, and of other libraries.
ALLOWED = {
    "domain": {"recordings.domain"},
    "ports": {"recordings.domain", "recordings.ports"},
    "services": {"recordings.domain", "recordings.ports", "recordings.services"},
}


def foreign(source: str, allowed: set[str]) -> set[str]:
    """The modules that a source imports and that are neither of the standard library nor in an allowed package."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {
        name
        for name in found
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(f"{name}.".startswith(f"{package}.") for package in allowed)
    }


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_the_standard_library_and_what_it_may(package: str) -> None:
    for path in sorted((ROOT / PACKAGE / package).rglob("*.py")):
        assert foreign(path.read_text(), ALLOWED[package]) == set(), path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("import numpy", {"numpy"}, id="library"),
        pytest.param("from recordings import settings", {"recordings.settings"}, id="of ours"),
        pytest.param("def f():\n    from requests import get", {"requests.get"}, id="within a function"),
        pytest.param("import json\nfrom recordings.domain.room import Room", set(), id="allowed"),
    ],
)
def test_a_foreign_import_is_found(source: str, found: set[str]) -> None:
    assert foreign(source, ALLOWED["domain"]) == found
