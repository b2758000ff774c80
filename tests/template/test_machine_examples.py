"""The gate that lints the state machines and runs them on their examples closes on what would end an execution."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recordings.services.transfer.transfer_file import Done, Plan
from tests.support.template import ROOT
from tools.checks.machines import faults

MACHINES = ROOT / "statemachines"
# A name of the fault, the machine, what stands there, what would be wrong in its place, and what the gate says of it.
FAULTS = [
    (
        "a typo in a field",
        "processing",
        "$plan.segments",
        "$plan.segment",
        r"\$plan\.segment.* gives nothing|not there",
    ),
    (
        "a typo in a comparison",
        "processing",
        "$states.input.state = 'over'",
        "$states.input.stat = 'over'",
        r"\$states\.input\.stat in .* is not there",
    ),
    (
        "a typo in a value",
        "processing",
        "$states.input.state = 'over'",
        "$states.input.state = 'ower'",
        r"no end after|rule 3",
    ),
    (
        "a field that no example has",
        "processing",
        "$exists($states.result.partial)",
        "$exists($states.result.part)",
        r"\$states\.result\.part of CheckUpload is in no example",
    ),
    ("a variable that nothing assigns", "sync", "{% $page %}", "{% $pages %}", r"\$pages in .* is no variable"),
    ("another function", "archiving", "${CheckArchiveArn}", "${CompleteArchiveArn}", r"segment is not read"),
    (
        "a function that is not there",
        "archiving",
        "${CheckArchiveArn}",
        "${CheckArchivesArn}",
        r"no function CheckArchives",
    ),
    (
        "a field that the function does not read",
        "processing",
        '"ranges": "{%',
        '"range": "{%',
        r"range is not read[\s\S]*ranges is not sent",
    ),
    (
        "a field that is not sent",
        "processing",
        '"key": "{% $plan.key %}",',
        "",
        r"payload of MarkReady: key is not sent",
    ),
    ("a Next that leads nowhere", "sync", '"Next": "IsThereMore"', '"Next": "IsThereAny"', r"IsThereAny"),
    (
        "a state that nothing leads to",
        "audit",
        '"Next": "AuditSome"\n    },',
        '"Next": "IsAnybodyLeft"\n    },',
        r"AuditSome",
    ),
    (
        "a condition that is no truth value",
        "sync",
        "{% $states.input.begun %}",
        "{% $states.input.nonce %}",
        r"is 'example' and not true or false",
    ),
    ("a function of JSONata that there is not", "processing", "{% $plans + 1 %}", "{% $plus($plans) %}", r"\$plus"),
    ("an expression that is none", "processing", "{% $plans + 1 %}", "{% $plans + %}", r"plans \+"),
    (
        "a Catch before which all are caught",
        "processing",
        '"ErrorEquals": ["AttemptReplaced"]',
        '"ErrorEquals": ["States.ALL"]',
        r"States\.ALL",
    ),
    (
        "a field that the language does not know",
        "audit",
        '"TimeoutSeconds": 930',
        '"TimeoutSecond": 930',
        r"TimeoutSecond",
    ),
]


def read(name: str) -> tuple[str, dict[str, object]]:
    examples = json.loads((MACHINES / "examples" / f"{name}.json").read_text())
    return (MACHINES / f"{name}.asl.json").read_text(), examples


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_a_broken_machine_is_found(fault: tuple[str, str, str, str, str]) -> None:
    _, machine, right, wrong, told = fault
    text, examples = read(machine)
    assert right in text
    found = "\n".join(faults(json.loads(text.replace(right, wrong)), examples))
    assert re.search(told, found), found


@pytest.mark.parametrize("machine", ["archiving", "audit", "processing", "sync"])
def test_an_example_less_leaves_something_that_none_takes(machine: str) -> None:
    """The machines themselves have no fault, so what is found is the doing of the example that is missing."""
    text, examples = read(machine)
    assert faults(json.loads(text), examples) == []
    executions = examples["executions"]
    assert isinstance(executions, list)
    failing = next(one for one in executions if "fails" in json.dumps(one.get("tasks", {})))
    fewer = [one for one in executions if one["ends"] != failing["ends"]]
    assert any("no example takes" in one for one in faults(json.loads(text), {**examples, "executions": fewer}))


def test_what_the_examples_say_of_a_plan_and_of_a_transfer_has_their_fields() -> None:
    for machine, plan, done in (
        ("processing", "PlanTransfer", "CompleteTransfer"),
        ("archiving", "PlanArchive", "CompleteArchive"),
    ):
        tasks = read(machine)[1]["tasks"]
        assert isinstance(tasks, dict)
        planned = tasks[plan]["gives"]
        planned = planned.get("plan", planned)
        assert Plan.__required_keys__ <= planned.keys() <= Plan.__annotations__.keys()
        assert tasks[done]["gives"].keys() == Done.__annotations__.keys()


def test_the_gate_ends_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    text, examples = read("audit")
    (tmp_path / "audit.asl.json").write_text(text.replace("$states.input.left", "$states.input.lef"))
    (tmp_path / "examples/audit.json").write_text(json.dumps(examples))
    command = [sys.executable, "-m", "tools.checks.machines", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "$states.input.lef" in done.stdout) == (1, True), done.stdout + done.stderr
