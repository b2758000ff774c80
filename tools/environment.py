"""A function's environment for a process that imports it and calls nothing."""

from collections.abc import Mapping
from typing import Any


def sample_environment(template: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, str]:
    """The variables that the template gives a function, each with a value of the right form."""
    parameters = template.get("Parameters", {})
    variables: dict[str, Any] = {}
    for source in (template["Globals"]["Function"], function):
        variables |= source.get("Environment", {}).get("Variables", {})
    return {name: sample_value(name, given, parameters) for name, given in variables.items()}


def sample_value(name: str, given: object, parameters: Mapping[str, Any]) -> str:
    """The value itself if it is plain, the parameter's default if it has one, or else a value of the right form."""
    if isinstance(given, str | int):
        return str(given)
    if isinstance(given, dict) and given.keys() == {"Ref"}:
        default = parameters.get(given["Ref"], {}).get("Default")
        if default is not None:
            return str(default)
    if name.endswith(("_URL", "_ENDPOINT")):
        return "http://127.0.0.1:9"
    if name.endswith("_ARN"):
        return "arn:aws:service:us-east-1:123456789012:kind:sample"
    return "sample"
