"""How much of one kind a stack may have: what no request raises, or what nobody has raised for us."""

from collections.abc import Iterator
from typing import Any, Final

from tools.checks.faults import Fault

# CloudFormation User Guide, "Understand CloudFormation quotas".
MOST: Final = {"Resources": 500, "Parameters": 200, "Mappings": 200, "Outputs": 200}


def faults(template: dict[str, Any]) -> Iterator[Fault]:
    for section, most in MOST.items():
        number = len(template.get(section, {}))
        if number > most:
            yield Fault("quotas", section, "", "", f"{number} {section}; CloudFormation takes {most} in a stack")
