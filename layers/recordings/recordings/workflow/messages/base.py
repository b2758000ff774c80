"""Bases of the messages, and what they have in common.

An execution keeps the definition that it started with, so a function also receives messages of the last release, and
an older definition reads what it returns. A renamed key of an input keeps its old name as an alias; an output has both
names (`last_release_keys`). Both go in the release after.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from recordings.domain.transfer import Attempt, TransferResult

type Payload = dict[str, Any]


def renamed(name: str, last_release: str) -> Any:
    """A field of an input whose key had another name in the last release."""
    return Field(validation_alias=AliasChoices(name, last_release))


def _current_keys(result: object) -> object:
    if isinstance(result, Mapping) and "proven" in result:
        return {"verified": result["proven"], **result}
    return result


# What CompleteTransfer returned. In the last release `verified` was called `proven`.
ReceivedResult = Annotated[TransferResult, BeforeValidator(_current_keys)]


class TaskInput(BaseModel):
    """Base of what a state machine passes to a function.

    Unknown keys are ignored, also those of the values within: an execution that another release started may send them.
    `python -m tools.checks.machines` finds a key that no function reads.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class AttemptInput(TaskInput):
    """Input of a task that works for one attempt at a recording."""

    attempt: Annotated[Attempt, renamed("attempt", "work")]


class TaskOutput(BaseModel):
    """Base of what a function returns to a state machine."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    def to_payload(self) -> Payload:
        """Return the output as JSON values, with the keys that definitions of the last release read."""
        payload = self.model_dump(mode="json", by_alias=True)
        return payload | self.last_release_keys(payload)

    def last_release_keys(self, payload: Payload) -> Payload:
        """Return renamed keys under their names of the last release."""
        return {}


class NoOutput(TaskOutput):
    """Output of a task from which the state machine reads nothing."""
