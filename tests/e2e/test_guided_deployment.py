"""samconfig.toml as it is committed: a first deployment asks for the rest, and one without changes succeeds."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.local import deployment, stack
from tools.local import template as sam

type Json = dict[str, Any]

TOOL = stack.ROOT / ".tools/sam/bin/sam"


@pytest.fixture
def samconfig(tmp_path: Path) -> Path:
    copied = tmp_path / "samconfig.toml"
    copied.write_bytes((stack.ROOT / "samconfig.toml").read_bytes())
    return copied


def deploy(running: Json, samconfig: Path, *arguments: str, responses: str = "") -> "subprocess.CompletedProcess[str]":
    built = stack.folder(running["name"]) / "build/template.yaml"
    return subprocess.run(
        [TOOL, "deploy", "--template-file", built, "--config-file", samconfig, *arguments],
        input=responses,
        env=stack.sam_environment(running),
        cwd=samconfig.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_deployment_without_changes_succeeds(running: Json, samconfig: Path) -> None:
    template = sam.read(stack.ROOT / "template.yaml")
    as_deployed = [f'{name}="{value}"' for name, value in deployment.parameters_of(running, template).items()]
    done = deploy(
        running, samconfig, "--stack-name", f"recordings-{running['name']}", "--no-confirm-changeset",
        "--parameter-overrides", *as_deployed,
    )  # fmt: skip
    assert "No changes to deploy" in done.stdout + done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


@pytest.fixture
def reviewed(running: Json) -> Iterator[str]:
    """The name of a stack that is not to stay."""
    name = "recordings-guided"
    yield name
    stack.client(running, "cloudformation").delete_stack(StackName=name)


def test_a_guided_deployment_needs_no_edited_file(running: Json, samconfig: Path, reviewed: str) -> None:
    """Up to the changes that it shows; what it has been told is in samconfig.toml then, for the next deployment."""
    parameters: Json = sam.read(stack.ROOT / "template.yaml")["Parameters"]
    given = deployment.parameters_of(running, {"Parameters": parameters})
    # What nobody can guess is typed in; the rest is what the file or the template has, at the press of a key.
    typed = {
        name: given[name] if "Default" not in parameter or name == "Architecture" else ""
        for name, parameter in parameters.items()
    }
    responses = [
        reviewed,
        running["region"],
        *typed.values(),
        "",  # confirm changes before deploy
        "",  # SAM may make roles
        "",  # roll back
        "",  # save
        "",  # in that file
        "",  # as the default environment
        "n",  # deploy this changeset
    ]

    done = deploy(running, samconfig, "--guided", responses="\n".join(responses) + "\n")

    assert "Changeset created successfully" in done.stdout, done.stdout[-3000:] + done.stderr
    assert "Deploy this changeset?" in done.stdout
    saved = tomllib.loads(samconfig.read_text())
    reported = saved["default"]["deploy"]["parameters"]
    assert reported["stack_name"] == reviewed, done.stdout
    assert reported["fail_on_empty_changeset"] is False
    assert reported["confirm_changeset"] is True
    for name, value in typed.items():
        assert f'{name}="{value or parameters[name]["Default"]}"' in reported["parameter_overrides"], name
    committed = tomllib.loads((stack.ROOT / "samconfig.toml").read_text())
    assert saved["prod"] == committed["prod"], "and the other environment is as it was"
