"""The layers are built for the processor that is asked for, and the same source gives the same bytes anywhere."""

import filecmp
import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.template import ROOT
from tools.local import wheels

ARM, X86 = 183, 62
# Stands in for `python -m pip`, which would fetch the wheels: it writes a library for the platform that it was asked
# for. Whatever else the Makefile wants of Python it gets from Python.
PYTHON = f"""#!{sys.executable}
import os, pathlib, sys
if sys.argv[1:3] != ["-m", "pip"]:
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
for folder in ("botocore/data", "boto3/data/s3", "bin"):
    (target / folder).mkdir(parents=True)
(target / "botocore/data/endpoints.json").write_text('{{"partitions": []}}')
for service in ("dynamodb", "ec2", "events", "s3", "secretsmanager", "stepfunctions", "sts"):
    (target / "botocore/data" / service / "2026-01-01").mkdir(parents=True)
    model = target / "botocore/data" / service / "2026-01-01/service-2.json"
    model.write_text('{{"metadata": {{"endpointPrefix": "' + service + '"}}}}')
(target / "pydantic_core").mkdir()
(target / "pydantic_core/core_schema.py").write_text("class Schema(TypedDict):\\n    type: str\\n")
machine = {ARM} if any("aarch64" in one for one in sys.argv) else {X86}
(target / "one.so").write_bytes(b"\\x7fELF" + bytes(14) + machine.to_bytes(2, "little"))
(target / "one.py").write_text("def is_kind(one): return one in {{'alpha', 'beta', 'gamma', 'delta'}}\\n")
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(PYTHON)
    path.chmod(0o755)
    return path


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = f"{ROOT / '.venv/bin'}:{ROOT / '.tools/sam/bin'}:{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": tools, "HOME": str(folder), "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
        | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_build_for_another_processor_takes_no_layer_of_the_first(tmp_path: Path, python: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "layers/dependencies", checkout / "layers/dependencies")
    shutil.copy(ROOT / "samconfig.toml", checkout)
    # The functions have no part in it, and 41 of them would take their time.
    (checkout / "template.yaml").write_text(
        """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  DependenciesLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/dependencies, CompatibleRuntimes: [python3.13]}
    Metadata: {BuildMethod: makefile}
"""
    )

    for architecture in ("arm64", "x86_64", "arm64"):
        done = run(["sam", "build"], checkout, ARCHITECTURE=architecture, PYTHON=str(python))

        assert done.returncode == 0, done.stderr
        built = checkout / ".aws-sam/build/DependenciesLayer/python/one.so"
        assert wheels.architecture_of(built) == architecture


def test_make_looks_at_what_it_built_and_at_what_it_deploys() -> None:
    for architecture in ("arm64", "x86_64"):
        done = run(["make", "-n", "build", "deploy"], ROOT, ARCHITECTURE=architecture)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        (build,) = [at for at, line in enumerate(lines) if line.startswith("sam build")]
        assert "--cached" not in lines[build]
        assert lines[build + 1].endswith("-m tools.local.wheels .aws-sam/build")
        (deploy,) = [at for at, line in enumerate(lines) if line.startswith("sam deploy")]
        assert lines[deploy - 1].endswith("-m tools.local.wheels .aws-sam/build --config-env default")


@pytest.mark.parametrize(
    ("head", "reported"),
    [
        (b"\x7fELF" + bytes(14) + X86.to_bytes(2, "little"), "x86_64"),
        (b"\x7fELF" + bytes(14) + ARM.to_bytes(2, "little"), "arm64"),
        (b"\x7fELF" + bytes(14) + (8).to_bytes(2, "little"), "ELF machine 8"),
        (b"\xcf\xfa\xed\xfe" + bytes(16), "no Linux"),
        (b"", "no Linux"),
    ],
)
def test_a_library_tells_its_processor(tmp_path: Path, head: bytes, reported: str) -> None:
    library = tmp_path / "one.cpython-313.so"
    library.write_bytes(head)
    assert wheels.architecture_of(library) == reported


@pytest.mark.parametrize(("architecture", "status"), [("x86_64", 0), ("arm64", 1)])
def test_a_build_for_another_processor_is_refused(tmp_path: Path, architecture: str, status: int) -> None:
    library = tmp_path / "Layer/python/lib/one.cpython-313.so.1"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\x7fELF" + bytes(14) + X86.to_bytes(2, "little"))
    command = [sys.executable, "-m", "tools.local.wheels", str(tmp_path)]
    done = run(command, ROOT, ARCHITECTURE=architecture)
    assert (done.returncode, "is for x86_64, and the functions run on arm64" in done.stderr) == (status, bool(status))


@pytest.mark.parametrize(
    ("parameters", "reported"),
    [
        ('"Stage=prod LogLevel=WARNING"', "arm64"),
        ('"Stage=prod Architecture=x86_64 LogLevel=INFO"', "x86_64"),
        ('["Stage=prod", "Architecture=x86_64"]', "x86_64"),
        ("\"Stage=prod Architecture='x86_64'\"", "x86_64"),
        ('"OtherArchitecture=x86_64"', "arm64"),
    ],
)
def test_the_processor_that_is_deployed_to_stands_in_the_configuration(
    tmp_path: Path, parameters: str, reported: str
) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(f"version = 0.1\n[prod.deploy.parameters]\nparameter_overrides = {parameters}\n")
    assert wheels.deployed_to(config, "prod") == reported
    assert wheels.deployed_to(config, "default") == "arm64"


def test_a_processor_that_lambda_has_not_is_refused(tmp_path: Path, python: Path) -> None:
    done = run(
        ["make", "-f", str(ROOT / "layers/dependencies/Makefile"), "build-DependenciesLayer"],
        tmp_path,
        ARTIFACTS_DIR=str(tmp_path),
        ARCHITECTURE="amd64",
        PYTHON=str(python),
    )
    assert (done.returncode, "it must be arm64 or x86_64" in done.stderr) == (2, True)


def test_a_build_without_any_library_is_refused(tmp_path: Path) -> None:
    done = run([sys.executable, "-m", "tools.local.wheels", str(tmp_path)], ROOT)
    assert (done.returncode, "no compiled library" in done.stderr) == (1, True)


# ---------------------------------------------------------------- bytecode


def test_the_same_source_gives_the_same_bytes_anywhere(tmp_path: Path, python: Path) -> None:
    for layer, target in (("recordings", "RecordingsLayer"), ("dependencies", "DependenciesLayer")):
        built = []
        for place, seed in (("a", "1"), ("another/place", "2")):
            source, made = tmp_path / place / layer, tmp_path / place / f"{layer}-built"
            shutil.copytree(ROOT / "layers" / layer, source)
            made.mkdir()
            done = run(
                ["make", f"build-{target}"], source, ARTIFACTS_DIR=str(made), PYTHON=str(python), PYTHONHASHSEED=seed
            )
            assert done.returncode == 0, done.stderr
            built.append(made)
        first, second = built
        files = [str(path.relative_to(first)) for path in sorted(first.rglob("*")) if path.is_file()]
        compiled = [name for name in files if name.endswith(".pyc")]
        assert compiled
        assert files == [str(path.relative_to(second)) for path in sorted(second.rglob("*")) if path.is_file()]
        assert filecmp.cmpfiles(first, second, files, shallow=False) == (files, [], [])
        for name in compiled:
            code = marshal.loads((first / name).read_bytes()[16:])
            source_name = name.replace("__pycache__/", "").replace(".cpython-313.pyc", ".py")
            # As a traceback shows it, and as the file lies on Lambda.
            assert code.co_filename == f"/opt/{source_name}"
