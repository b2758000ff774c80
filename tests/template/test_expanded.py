"""The gate that lints the template as `sam deploy` expands it closes on what CloudFormation would refuse."""

import re
import subprocess
from pathlib import Path

from tests.support.template import ROOT

# What the template says, what would be wrong in its place, and what the gate says of it.
FAULTS = [
    ("        Regularly:\n", "        Schedule:\n", r"E3007 Resources/SyncSchedule"),
    ("OmitName: true", "OmitName: false", r"AuditWeekly\.Name is AuditWeekly in every stack"),
    ("!Sub ${AWS::StackName}-events", "events", r"\.Name is events in every stack"),
    (
        "  Stage:\n    Type: String\n",
        "  Unused: {Type: String}\n  Stage:\n    Type: String\n",
        r"W2001 Parameters/Unused",
    ),
]


def test_what_would_be_refused_is_found(tmp_path: Path) -> None:
    """`make check` lets the template pass as it is, so each of these lines is the doing of its fault."""
    text = (ROOT / "template.yaml").read_text()
    for right, wrong, _ in FAULTS:
        assert right in text
        text = text.replace(right, wrong)
    changed = tmp_path / "template.yaml"
    changed.write_text(text)
    python, script = ROOT / ".tools/sam/bin/python", ROOT / "local/lint_template.py"

    done = subprocess.run([python, script, changed], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 1, done.stderr
    for _, _, fault in FAULTS:
        assert re.search(fault, done.stdout), done.stdout


def test_a_stack_of_too_many_resources_is_found() -> None:
    script = (
        "import lint_template; lint_template.MOST_RESOURCES = 40; raise SystemExit(lint_template.main('template.yaml'))"
    )

    done = subprocess.run(
        [ROOT / ".tools/sam/bin/python", "-c", script],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "local")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1, done.stderr
    assert [int(found) > 40 for found in re.findall(r"(\d+) resources; CloudFormation takes 40", done.stdout)] == [
        True
    ] * 2
