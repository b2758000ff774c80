"""Lint the template as `sam deploy` expands it: `sam validate --lint` reads it unexpanded, and misses what SAM adds.

Runs with the interpreter of the SAM CLI, whose translator and linter these are:

    .tools/sam/bin/python local/lint_template.py [template.yaml]

Exits with 1 after printing what CloudFormation would refuse, and what would keep a second stack out of the account.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cfnlint.api import lint
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse

REGION: Final = "us-east-1"
# The properties that name a thing in the account and region (CloudFormation User Guide, "Name type").
NAMES: Final = frozenset(
    {
        "AlarmName",
        "BucketName",
        "DashboardName",
        "FunctionName",
        "LayerName",
        "LogGroupName",
        "ManagedPolicyName",
        "Name",
        "QueueName",
        "RoleName",
        "RuleName",
        "StateMachineName",
        "TableName",
        "TopicName",
    }
)
# Name no thing of the account: an alias is its function's, an authorizer and a stage an API's, a policy's name is its
# role's.
WITHIN: Final = frozenset(
    {"AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Stage", "AWS::IAM::Policy", "AWS::Lambda::Alias"}
)
# How calls move to new versions is decided while the template is expanded, so each way is linted.
EXPANSIONS: Final[tuple[dict[str, str], ...]] = ({"Stage": "dev"}, {"Stage": "prod"})
# SAM reads these while it expands the template, and leaves them behind unused.
USED_BY_SAM: Final = frozenset(
    {
        ("W2001", "Parameters/DeploymentType"),
        ("W7001", "Mappings/GradualDeployment"),
        ("W7001", "Mappings/DeploymentTypes"),
    }
)
# CloudFormation's quota, which no request raises (CloudFormation User Guide, "Understand CloudFormation quotas").
MOST_RESOURCES: Final = 500


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


def shared_names(template: dict[str, Any]) -> Iterator[str]:
    """The names that a second stack in the account and region would want too."""
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in WITHIN:
            continue
        named = {name: value for name, value in resource.get("Properties", {}).items() if name in NAMES}
        for name, value in named.items():
            # A reference is another resource's name, and that one is looked at itself.
            text = value if isinstance(value, str) else dict(value).get("Fn::Sub")
            if text is not None and "AWS::StackName" not in str(text):
                yield f"{logical_id}.{name} is {text} in every stack; let CloudFormation name it, or the stack"


def faults(text: str) -> Iterator[str]:
    """What CloudFormation would refuse of an expanded template, and what would stand in another stack's way."""
    for one in lint(text, None, [REGION]):
        place = "/".join(map(str, one.path or []))
        if (one.rule.id, place) not in USED_BY_SAM:
            yield f"{one.rule.id} {place}: {one.message}"
    template = yaml_parse(text)
    yield from shared_names(template)
    if len(template["Resources"]) > MOST_RESOURCES:
        yield f"{len(template['Resources'])} resources; CloudFormation takes {MOST_RESOURCES} in a stack"


def main(path: str) -> int:
    template = Path(path).read_text()
    found = dict.fromkeys(line for parameters in EXPANSIONS for line in faults(expanded(template, parameters)))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "template.yaml"))
