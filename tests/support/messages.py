"""The messages of the state machines' functions, read from the functions themselves."""

import inspect
import re
from functools import cache
from typing import Any, get_args, get_type_hints

from recordings.workflow.messages.base import TaskInput, TaskOutput
from tests.support.functions import handler_of
from tests.support.template import resources

FUNCTIONS = resources("AWS::Serverless::Function")


def folder_of(function: str) -> str:
    """The folder of a function below functions/, by its name in the template."""
    return str(FUNCTIONS[function]["CodeUri"]).removeprefix("functions/")


@cache
def models_of(function: str) -> tuple[type[TaskInput], type[TaskOutput]]:
    """The input and the output model of a function, by its name in the template."""
    hints: dict[str, Any] = get_type_hints(inspect.unwrap(handler_of(folder_of(function))))
    output_model = hints.pop("return")
    (input_model,) = hints.values()
    # A task that waits for a token returns None to wait on.
    (output_model,) = [one for one in get_args(output_model) or [output_model] if one is not type(None)]
    return input_model, output_model


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
