"""The template as `sam deploy` expands it: `sam validate --lint` reads it unexpanded, and misses what SAM adds.

Runs with the interpreter of the SAM CLI, whose translator this is:

    .tools/sam/bin/python tools/checks/expand.py template.yaml

Prints a JSON list of CloudFormation templates, one for each of EXPANSIONS.
"""

import json
import os
import sys
from pathlib import Path
from typing import Final

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse

REGION: Final = "us-east-1"
# How calls move to new versions is decided while the template is expanded, so each way is looked at.
EXPANSIONS: Final[tuple[dict[str, str], ...]] = ({"Stage": "dev"}, {"Stage": "prod"})


class NoManagedPolicies:
    """The template names no managed policy of AWS by its short name, so none has to be looked up in an account."""

    def load(self) -> dict[str, str]:
        return {}


def expanded(template: str, parameters: dict[str, str]) -> str:
    """The CloudFormation template that the pinned translator makes of a SAM template and parameters, as YAML."""
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    made: str = SamTemplateValidator(
        yaml_parse(template), NoManagedPolicies(), region=REGION, parameter_overrides=parameters
    ).get_translated_template_if_valid()
    return made


if __name__ == "__main__":
    template = Path(sys.argv[1]).read_text()
    print(json.dumps([expanded(template, parameters) for parameters in EXPANSIONS]))
