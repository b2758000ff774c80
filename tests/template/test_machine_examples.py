"""The check of the state machines finds what would end an execution."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.template import ROOT
from tools.checks.machines import faults

MACHINES = ROOT / "statemachines"
# The machine, its text, what replaces the text, and what the check reports.
FAULTS = [
    pytest.param(
        "processing",
        "$plan.segments",
        "$plan.segment",
        r"\$plan\.segment.* gives nothing|not there",
        id="a typo in a field",
    ),
    pytest.param(
        "processing",
        "$states.input.state = 'over'",
        "$states.input.stat = 'over'",
        r"\$states\.input\.stat in .* is not there",
        id="a typo in a comparison",
    ),
    pytest.param(
        "processing",
        "$states.input.state = 'over'",
        "$states.input.state = 'ower'",
        r"no end after|rule 3",
        id="a typo in a value",
    ),
    pytest.param(
        "processing",
        "$exists($states.result.partial)",
        "$exists($states.result.part)",
        r"\$states\.result\.part of CheckUpload is in no example",
        id="a field that no example has",
    ),
    pytest.param(
        "sync", "{% $page %}", "{% $pages %}", r"\$pages in .* is no variable", id="a variable that nothing assigns"
    ),
    pytest.param(
        "archiving", "${CheckArchiveArn}", "${CompleteArchiveArn}", r"segment is not read", id="another function"
    ),
    pytest.param(
        "archiving", "${CheckArchiveArn}", "${CheckArchivesArn}", r"no function CheckArchives", id="an unknown function"
    ),
    pytest.param(
        "processing",
        '"use_ranges": "{%',
        '"ranges": "{%',
        r"ranges is not read[\s\S]*use_ranges is not sent",
        id="a key that the function does not read",
    ),
    pytest.param(
        "processing",
        '"key": "{% $plan.key %}",',
        "",
        r"payload of MarkReady: key is not sent",
        id="a key that is not sent",
    ),
    pytest.param(
        "processing", '"Next": "IsUploaded"', '"Next": "IsUploadedYet"', r"IsUploadedYet", id="an unknown next state"
    ),
    pytest.param(
        "archiving",
        '"Next": "HasFileMoved"',
        '"Next": "CopySegments"',
        r"HasFileMoved",
        id="a state that no transition leads to",
    ),
    pytest.param(
        "archiving",
        "{% $states.input.decided %}",
        "{% $states.context.Execution.Name %}",
        r"is 'example' and not true or false",
        id="a condition that is not boolean",
    ),
    pytest.param(
        "processing", "{% $plan_count + 1 %}", "{% $plus($plan_count) %}", r"\$plus", id="an unknown JSONata function"
    ),
    pytest.param(
        "processing", "{% $plan_count + 1 %}", "{% $plan_count + %}", r"plan_count \+", id="a malformed expression"
    ),
    pytest.param(
        "processing",
        '"ErrorEquals": ["AttemptReplaced"]',
        '"ErrorEquals": ["States.ALL"]',
        r"States\.ALL",
        id="a Catch after one that catches everything",
    ),
    pytest.param(
        "audit", '"TimeoutSeconds": 930', '"TimeoutSecond": 930', r"TimeoutSecond", id="a field that ASL does not have"
    ),
]


def read(name: str) -> tuple[str, dict[str, object]]:
    examples = json.loads((MACHINES / "examples" / f"{name}.json").read_text())
    return (MACHINES / f"{name}.asl.json").read_text(), examples


@pytest.mark.parametrize(("machine", "right", "wrong", "report"), FAULTS)
def test_a_broken_machine_is_found(machine: str, right: str, wrong: str, report: str) -> None:
    text, examples = read(machine)
    assert right in text
    found = "\n".join(faults(json.loads(text.replace(right, wrong)), examples))
    assert re.search(report, found), found


@pytest.mark.parametrize("machine", ["archiving", "audit", "processing", "sync"])
def test_a_missing_example_leaves_a_path_that_no_example_takes(machine: str) -> None:
    text, examples = read(machine)
    assert faults(json.loads(text), examples) == []
    executions = examples["executions"]
    assert isinstance(executions, list)
    failing = next(one for one in executions if "fails" in json.dumps(one.get("tasks", {})))
    fewer = [one for one in executions if one["ends"] != failing["ends"]]
    assert any("no example takes" in one for one in faults(json.loads(text), {**examples, "executions": fewer}))


def test_the_check_exits_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    text, examples = read("audit")
    (tmp_path / "audit.asl.json").write_text(text.replace("$states.input.progressed", "$states.input.progresed"))
    (tmp_path / "examples/audit.json").write_text(json.dumps(examples))
    command = [sys.executable, "-m", "tools.checks.machines", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "$states.input.progresed" in done.stdout) == (1, True), done.stdout + done.stderr
