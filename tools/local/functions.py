"""The functions of a running local stack, as callers reach them: by the alias of a published version."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# AutoPublishAlias in template.yaml.
ALIAS = "live"


def callable_names(functions: Mapping[str, str], resources: Mapping[str, str]) -> dict[str, str]:
    """Return the name to invoke for each logical id: the alias's ARN, or the name of a function without an alias.

    `functions` and `resources` give the physical id of each logical id. SAM names an alias after both.
    """
    return {name: resources.get(f"{name}Alias{ALIAS}", physical) for name, physical in functions.items()}


def publish(client: Any, function: str, **configuration: Any) -> str:
    """Change a function's configuration and publish it for its callers.

    Gives the version that they ran before.
    """
    before: str = client.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"]
    if configuration:
        client.update_function_configuration(FunctionName=function, **configuration)
    made = client.publish_version(FunctionName=function)["Version"]
    client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=made)
    return before


def set_variables(client: Any, function: str, more: Mapping[str, str]) -> str:
    """Add or replace a function's variables for its callers. Returns the version that they used before."""
    variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    return publish(client, function, Environment={"Variables": {**variables, **more}})


@contextmanager
def variables_set(client: Any, functions: Iterable[str], more: Mapping[str, str]) -> Iterator[None]:
    """Add or replace variables of these functions in the block."""
    before: dict[str, tuple[dict[str, str], str]] = {}
    try:
        for function in functions:
            variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
            before[function] = (variables, set_variables(client, function, more))
        yield
    finally:
        for function, (variables, version) in before.items():
            client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
            client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version)
