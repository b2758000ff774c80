"""What make says of missing variables, and what it makes of a finding."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.template import ROOT


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make as if setup were done, and as if no other make had started these tests."""
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    return subprocess.run(
        ["make", "-o", "setup", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("invoke", "FUNCTION is missing: make invoke FUNCTION=GetRecording EVENT=events/get_recording.json"),
        ("invoke FUNCTION=GetRecording", "EVENT is missing"),
        ("register-webhook", "URL is missing: make register-webhook URL=https://…"),
        ("register-webhook URL=u SECRET=s APP=a", "ACCOUNT is missing"),
    ],
)
def test_a_missing_variable_is_named_with_an_example(words: str, missing: str) -> None:
    done = make(ROOT, "-n", *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert missing in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("up NAME=x", "-m tools.local --name x up"),
        ("down NAME=x", "-m tools.local --name x down"),
        ("deploy-local NAME=x", "-m tools.local --name x deploy"),
        ("invoke NAME=x FUNCTION=F EVENT=e.json", '-m tools.local --name x invoke --function "F" --event "e.json"'),
        ("demo KEEP=1", "-m tools.local.demo --keep"),
        ("demo", "-m tools.local.demo"),
        ("audit STACK_NAME=s TENANT=t REPAIR=1", 'reconcile --stack "s" '),
        ("audit TENANT=t REPAIR=1", '--tenant "t" --repair'),
        ("register-webhook URL=u SECRET=s ACCOUNT=c APP=a", '--url "u" --secret "s" --account "c" --app "a"'),
        ("soak MINUTES=3 SEED=2 WRITE=1", "-m tools.bench.soak --minutes 3 --seed 2 --write"),
        ("deploy STACK=prod", "sam deploy --config-env prod"),
    ],
)
def test_a_variable_reaches_its_command(words: str, command: str) -> None:
    done = make(ROOT, "-n", *words.split())
    assert done.returncode == 0, done.stderr
    assert command in done.stdout


@pytest.mark.parametrize(("status", "expected", "error"), [(0, 0, False), (3, 0, False), (1, 2, True)])
def test_a_finding_is_no_error_of_make(tmp_path: Path, status: int, expected: int, error: bool) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / "recordings-admin").write_text(f"#!/bin/sh\necho found\nexit {status}\n")
    (tmp_path / "recordings-admin").chmod(0o755)
    done = make(tmp_path, "audit")
    assert (done.returncode, "Error" in done.stderr) == (expected, error)
    assert "found" in done.stdout
