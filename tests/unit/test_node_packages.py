"""The Node packages of the checks: pinned by hash, from whichever registry the user's npm is set to."""

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "tools/node"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "package.json").read_text("utf-8"))
LOCK: dict[str, Any] = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
SETTINGS = dict(
    line.split("=", 1) for line in (FOLDER / ".npmrc").read_text("utf-8").splitlines() if not line.startswith("#")
)
PACKAGES = {path: package for path, package in LOCK["packages"].items() if path}


def test_every_package_is_pinned_by_its_hash() -> None:
    assert len(PACKAGES) > 100
    assert [path for path, package in PACKAGES.items() if not package["integrity"].startswith("sha512-")] == []


def test_no_package_has_an_address() -> None:
    assert [path for path, package in PACKAGES.items() if "resolved" in package] == []
    assert "://" not in json.dumps(LOCK)
    assert SETTINGS["omit-lockfile-registry-resolved"] == "true"
    assert not {"registry", "cafile", "proxy"} & SETTINGS.keys()
    assert [name for name in SETTINGS if name.startswith(("@", "//"))] == []


def test_no_script_of_a_package_runs_when_it_is_installed() -> None:
    assert SETTINGS["ignore-scripts"] == "true"
    assert "scripts" not in MANIFEST


def test_what_the_project_itself_names_has_one_version() -> None:
    named = MANIFEST["devDependencies"]
    assert LOCK["packages"][""]["devDependencies"] == named
    assert [name for name, version in named.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
