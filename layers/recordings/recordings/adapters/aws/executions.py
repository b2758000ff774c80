"""Executions of the state machines, in Step Functions.

An execution is named `<recording id>-<attempt>`. Step Functions rejects a name for 90 days after its execution ended
(API reference, StartExecution), so an attempt has one execution, however often it is started.
"""

import json
from typing import TYPE_CHECKING, Final

from recordings import settings
from recordings.adapters.aws.errors import (
    EXECUTION_EXISTS,
    NO_EXECUTION,
    NOTHING_TO_STOP,
    Refused,
    translated_errors,
)

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from recordings.domain.recording import Recording

# An operator looks at a move whose executions all failed. Its recording stays readable in R2.
MAX_RESTARTS: Final = 5


class ProcessingStateMachine:
    """Implements ports.executions.ProcessingExecutions."""

    def __init__(self) -> None:
        self._machine_arn = settings.PROCESSING().arn

    def start(self, recording: "Recording") -> None:
        _start(self._machine_arn, _name(recording), recording, recording.attempt)

    def replace(self, before: "Recording", after: "Recording") -> None:
        execution_arn = _execution_arn(self._machine_arn, _name(before))
        try:
            with translated_errors(NOTHING_TO_STOP):
                _client().stop_execution(executionArn=execution_arn, cause="replaced by a new attempt")
        except Refused:
            # It never started, or it has ended.
            pass
        self.start(after)

    def is_running(self, recording: "Recording") -> bool:
        return _status(self._machine_arn, _name(recording)) in {"RUNNING", None}


class ArchivingStateMachine:
    """Implements ports.executions.ArchivingExecutions."""

    def __init__(self) -> None:
        self._machine_arn = settings.ARCHIVING().arn

    def start(self, recording: "Recording") -> None:
        name = f"{recording.id}-{recording.archive_attempt}"
        _start(self._machine_arn, name, recording, recording.archive_attempt)

    def restart(self, recording: "Recording") -> bool:
        first = f"{recording.id}-{recording.archive_attempt}"
        names = [first, *(f"{first}-again-{number}" for number in range(1, MAX_RESTARTS + 1))]
        for name in names:
            status = _status(self._machine_arn, name)
            if status == "RUNNING":
                return False
            if status is None:
                _start(self._machine_arn, name, recording, recording.archive_attempt)
                return True
        return False


def prepare_client() -> None:
    """Create the client now, for a function whose every invocation needs it: Lambda has more CPU before the first."""
    _client()


def _client() -> "SFNClient":
    # Created at the first call: most invocations of the other functions start no execution.
    from recordings.adapters.aws.step_functions import client

    return client


def _name(recording: "Recording") -> str:
    return f"{recording.id}-{recording.attempt}"


def _execution_arn(machine_arn: str, name: str) -> str:
    return f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def _status(machine_arn: str, name: str) -> str | None:
    """The status of an execution, or None if no execution has this name."""
    try:
        with translated_errors(NO_EXECUTION):
            found = _client().describe_execution(executionArn=_execution_arn(machine_arn, name))
    except Refused:
        return None
    return found["status"]


def _start(machine_arn: str, name: str, recording: "Recording", attempt: int) -> None:
    work = {"tenant_id": recording.tenant_id, "recording_id": recording.id, "attempt": attempt}
    try:
        with translated_errors(EXECUTION_EXISTS):
            _client().start_execution(stateMachineArn=machine_arn, name=name, input=json.dumps(work))
    except Refused:
        # An earlier call started it, perhaps one whose response was lost.
        return
