"""Quotas of a stack that cannot be raised."""

from collections.abc import Iterator
from typing import Any, Final

from tools.checks.faults import Fault

# CloudFormation User Guide, "Understand CloudFormation quotas".
MAX_IN_STACK: Final = {"Resources": 500, "Parameters": 200, "Mappings": 200, "Outputs": 200}


def faults(template: dict[str, Any]) -> Iterator[Fault]:
    for section, limit in MAX_IN_STACK.items():
        number = len(template.get(section, {}))
        if number > limit:
            yield Fault("quotas", section, "", "", f"{number} {section}; CloudFormation allows {limit} in a stack")
