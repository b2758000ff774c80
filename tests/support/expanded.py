"""template.yaml as CloudFormation gets it: expanded by the translator of the pinned SAM CLI."""

import json
import subprocess
from functools import cache
from typing import Any

from tests.support.template import ROOT

SCRIPT = """
import json, sys
from expand import expanded
from samcli.yamlhelper import yaml_parse
asked = json.load(sys.stdin)
print(json.dumps([yaml_parse(expanded(one["template"], one["parameters"])) for one in asked]))
"""


def expansions(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What becomes of templates (`template`, as text) with parameters (`parameters`)."""
    done = subprocess.run(
        [ROOT / ".tools/sam/bin/python", "-c", SCRIPT],
        input=json.dumps(asked),
        env={"PYTHONPATH": str(ROOT / "tools/checks")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@cache
def expanded(stage: str) -> dict[str, Any]:
    """The template of this checkout for a stage."""
    (found,) = expansions([{"template": (ROOT / "template.yaml").read_text(), "parameters": {"Stage": stage}}])
    return found
