"""A release is whole in its folder, the same bytes each time, and changes the checkout only when it is made."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest

from tests.support.template import ROOT
from tools.local.template import read
from tools.release import versions
from tools.release.__main__ import CLIENT, OPENAPI, PROJECT, TEMPLATE, release, today
from tools.release.package import for_one_processor, zip_folder
from tools.release.versions import Refused

DAY = date(2026, 11, 25)
CHANGELOG = """# Changelog

## Unreleased

- Something new.
  It goes on here.

## 0.9.0 - 2026-01-02

- Something old.
"""
BUILT = """AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Metadata:
  AWS::ServerlessRepo::Application:
    SemanticVersion: 0.1.0
    LicenseUrl: ../LICENSE
    ReadmeUrl: ../README.md
Parameters:
  Architecture:
    Type: String
    Default: arm64
    AllowedValues:
    - arm64
    - x86_64
    Description: Processor
Resources:
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: Layer
  PutRoom:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: PutRoom
      Layers:
      - !Ref Layer
  Sync:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: ../statemachines/sync.asl.json
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a build for x86_64."""
    root = tmp_path / "checkout"
    for name in (
        PROJECT,
        CLIENT,
        OPENAPI,
        TEMPLATE,
        "LICENSE",
        "README.md",
        "clients/python/README.md",
        "clients/python/LICENSE",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((ROOT / name).read_text())
    package = root / "clients/python/src/recordings_client"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A client."""\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    build = root / "build"
    (build / "Layer/python").mkdir(parents=True)
    (build / "Layer/python/one.so").write_bytes(b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little"))
    (build / "PutRoom").mkdir()
    (build / "PutRoom/app.py").write_text("handler = None\n")
    (root / "statemachines").mkdir()
    (root / "statemachines/sync.asl.json").write_text("{}")
    (build / "template.yaml").write_text(BUILT)
    return root


def contents(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in ("CHANGELOG.md", PROJECT, CLIENT, OPENAPI, TEMPLATE)}


def test_a_release_holds_all_that_its_template_names(checkout: Path) -> None:
    made = release(checkout, checkout / "build", "1.2.3", DAY)

    assert made == checkout / "dist/recordings-1.2.3-x86_64"
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()) == [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "SHA256SUMS",
        "functions/PutRoom.zip",
        "layers/Layer.zip",
        "openapi.yaml",
        "recordings_client-1.2.3-py3-none-any.whl",
        "recordings_client-1.2.3.tar.gz",
        "statemachines/sync.asl.json",
        "template.yaml",
    ]
    template = read(made / "template.yaml")
    named = [
        value
        for resource in template["Resources"].values()
        for key, value in resource["Properties"].items()
        if key in ("CodeUri", "ContentUri", "DefinitionUri")
    ]
    assert len(named) == 3
    named += [template["Metadata"]["AWS::ServerlessRepo::Application"][key] for key in ("LicenseUrl", "ReadmeUrl")]
    assert all((made / name).is_file() for name in named)
    assert zipfile.ZipFile(made / "layers/Layer.zip").namelist() == ["python/one.so"]
    assert zipfile.ZipFile(made / "functions/PutRoom.zip").read("app.py") == b"handler = None\n"
    # Another processor would fail at its first import: CloudFormation refuses the value.
    architecture = template["Parameters"]["Architecture"]
    assert (architecture["Default"], architecture["AllowedValues"]) == ("x86_64", ["x86_64"])
    assert template["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"] == "1.2.3"


def test_the_sums_are_those_of_the_files(checkout: Path) -> None:
    made = release(checkout, checkout / "build", "1.2.3", DAY)
    lines = [line.split("  ") for line in (made / "SHA256SUMS").read_text().splitlines()]
    assert len(lines) == 10
    for digest, name in lines:
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


def test_the_same_release_is_the_same_bytes(checkout: Path) -> None:
    before = contents(checkout)
    first = (release(checkout, checkout / "build", "1.2.3", DAY) / "SHA256SUMS").read_text()
    for name, text in before.items():
        (checkout / name).write_text(text)
    (checkout / "build/PutRoom/app.py").touch()
    assert (release(checkout, checkout / "build", "1.2.3", DAY) / "SHA256SUMS").read_text() == first


def test_the_version_stands_everywhere(checkout: Path) -> None:
    made = release(checkout, checkout / "build", "1.2.3", DAY)
    assert (
        "## 1.2.3 - 2026-11-25\n\n- Something new.\n  It goes on here.\n\n## 0.9.0"
        in contents(checkout)["CHANGELOG.md"]
    )
    assert contents(checkout)["CHANGELOG.md"].startswith("# Changelog\n\n## Unreleased\n\n## 1.2.3")
    for name in (PROJECT, CLIENT):
        assert tomllib.loads(contents(checkout)[name])["project"]["version"] == "1.2.3"
    assert read(checkout / OPENAPI)["info"]["version"] == "1.2.3"
    assert (made / "openapi.yaml").read_text() == contents(checkout)[OPENAPI]
    assert (made / "CHANGELOG.md").read_text() == contents(checkout)["CHANGELOG.md"]
    metadata = zipfile.ZipFile(made / "recordings_client-1.2.3-py3-none-any.whl").read(
        "recordings_client-1.2.3.dist-info/METADATA"
    )
    assert b"\nVersion: 1.2.3\n" in metadata
    with tarfile.open(made / "recordings_client-1.2.3.tar.gz") as archive:
        assert "recordings_client-1.2.3/src/recordings_client/__init__.py" in archive.getnames()


def test_the_next_release_goes_on_where_this_one_ended(checkout: Path) -> None:
    release(checkout, checkout / "build", "1.2.3", DAY)
    with pytest.raises(Refused, match="Nothing is unreleased"):
        release(checkout, checkout / "build", "1.2.4", DAY)
    text = (checkout / "CHANGELOG.md").read_text().replace("## Unreleased\n", "## Unreleased\n\n- More.\n")
    (checkout / "CHANGELOG.md").write_text(text)
    for wrong in ("1.2.3", "1.2.2", "0.10.0"):
        with pytest.raises(Refused, match=r"not above 1\.2\.3"):
            release(checkout, checkout / "build", wrong, DAY)
    release(checkout, checkout / "build", "1.10.0", DAY)
    headings = re.findall(r"(?m)^## (.*)$", (checkout / "CHANGELOG.md").read_text())
    assert headings == ["Unreleased", "1.10.0 - 2026-11-25", "1.2.3 - 2026-11-25", "0.9.0 - 2026-01-02"]


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3\n", "1.2.٣"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(Refused, match="is no version"):
        versions.released(CHANGELOG, version, DAY)


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        ("template", "holds no build"),
        ("library", "run `make build` again"),
        ("both", "is for arm64, x86_64"),
        ("client", "cannot be built"),
        ("unreleased", "has no line"),
        ("version", "stands 2 times"),
    ],
)
def test_a_release_that_cannot_be_made_changes_nothing(checkout: Path, fault: str, reported: str) -> None:
    match fault:
        case "template":
            (checkout / "build/template.yaml").unlink()
        case "library":
            (checkout / "build/Layer/python/one.so").unlink()
        case "both":
            arm = b"\x7fELF" + bytes(14) + (183).to_bytes(2, "little")
            (checkout / "build/Layer/python/two.so").write_bytes(arm)
        case "client":
            (checkout / "clients/python/README.md").unlink()
        case "unreleased":
            (checkout / "CHANGELOG.md").write_text("# Changelog\n")
        case _:
            (checkout / CLIENT).write_text((checkout / CLIENT).read_text() + '\nversion = "2"\n')
    before = contents(checkout)

    with pytest.raises(Refused, match=reported):
        release(checkout, checkout / "build", "1.2.3", DAY)

    assert contents(checkout) == before
    assert not (checkout / "dist").exists()


def test_a_template_without_the_processor_is_refused() -> None:
    with pytest.raises(Refused, match="no parameter Architecture"):
        for_one_processor("Parameters: {}\n", "arm64")


def test_a_folder_is_packed_in_order_and_without_times(tmp_path: Path) -> None:
    for name in ("b.py", "a/z.py", "a.py"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(name)
    zip_folder(tmp_path / "folder", tmp_path / "made.zip")
    entries = zipfile.ZipFile(tmp_path / "made.zip").infolist()
    assert [entry.filename for entry in entries] == ["a.py", "a/z.py", "b.py"]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    # Lambda runs what everybody may read.
    assert {entry.external_attr >> 16 & 0o777 for entry in entries} == {0o644}


def test_the_day_is_today_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert today() == date(1970, 1, 2)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert today() >= DAY


def test_the_version_of_this_checkout_stands_where_a_release_puts_it() -> None:
    versions.project((ROOT / PROJECT).read_text(), "1.2.3")
    versions.project((ROOT / CLIENT).read_text(), "1.2.3")
    versions.description((ROOT / OPENAPI).read_text(), "1.2.3")
    versions.application((ROOT / TEMPLATE).read_text(), "1.2.3")
    assert versions.released((ROOT / "CHANGELOG.md").read_text(), "99.0.0", DAY)


def test_the_command_refuses_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.release", "--check", "v1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith("error: 'v1' is no version")


def test_the_definitions_that_are_packed_are_json(checkout: Path) -> None:
    made = release(checkout, checkout / "build", "1.2.3", DAY)
    assert [json.loads(path.read_text()) for path in (made / "statemachines").iterdir()] == [{}]
