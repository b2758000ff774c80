"""The runs of the state machines.

A run is named after its recording and attempt, and Step Functions refuses a name that it has seen (for 90 days, API
reference, StartExecution): so there is one run of each attempt, however often it is started.
"""

import json
import os
from typing import Final

import boto3
from botocore.config import Config

from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import (
    DEAD_TOKEN,
    EXECUTION_EXISTS,
    NO_EXECUTION,
    NOTHING_TO_STOP,
    Refused,
    translated_errors,
)
from recordings.domain.recording import Recording

# A move that died so often is for a person to look at; its recording is readable from R2 all the while.
MOST_REVIVALS: Final = 5

_client = bounded(
    boto3.client(
        "stepfunctions",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )
)


class ProcessingStateMachine:
    """Implements ports.Workflow."""

    def start(self, recording: Recording) -> None:
        _start(os.environ["PROCESSING_ARN"], _name(recording), recording, recording.attempt)

    def replace(self, before: Recording, after: Recording) -> None:
        run = _execution(os.environ["PROCESSING_ARN"], _name(before))
        try:
            with translated_errors(NOTHING_TO_STOP):
                _client.stop_execution(executionArn=run, cause="replaced by a new attempt")
        except Refused:
            # It never was, or has ended.
            pass
        self.start(after)

    def is_running(self, recording: Recording) -> bool:
        return _status(os.environ["PROCESSING_ARN"], _name(recording)) in {"RUNNING", None}

    def complete_task(self, token: str) -> None:
        answer_task(token, {"state": "look_again"})


class ArchivingStateMachine:
    """Implements ports.ArchiveRuns."""

    def start(self, recording: Recording) -> None:
        name = f"{recording.id}-{recording.archive_attempt}"
        _start(os.environ["ARCHIVING_ARN"], name, recording, recording.archive_attempt)

    def restart(self, recording: Recording) -> bool:
        machine = os.environ["ARCHIVING_ARN"]
        first = f"{recording.id}-{recording.archive_attempt}"
        names = [first, *(f"{first}-again-{number}" for number in range(1, MOST_REVIVALS + 1))]
        for name in names:
            status = _status(machine, name)
            if status == "RUNNING":
                return False
            if status is None:
                _start(machine, name, recording, recording.archive_attempt)
                return True
        return False


def _name(recording: Recording) -> str:
    return f"{recording.id}-{recording.attempt}"


def _execution(machine: str, name: str) -> str:
    """The ARN of a run."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def _status(machine: str, name: str) -> str | None:
    """The status of a run, or None when there is none of this name."""
    try:
        with translated_errors(NO_EXECUTION):
            found = _client.describe_execution(executionArn=_execution(machine, name))
    except Refused:
        return None
    return found["status"]


def _start(machine: str, name: str, recording: Recording, attempt: int) -> None:
    work = {"tenant_id": recording.tenant_id, "recording_id": recording.id, "attempt": attempt}
    try:
        with translated_errors(EXECUTION_EXISTS):
            _client.start_execution(stateMachineArn=machine, name=name, input=json.dumps(work))
    except Refused:
        # It was started before, perhaps by a call whose answer was lost.
        return


def answer_task(token: str, output: dict[str, object]) -> None:
    """Give a waiting task its result; a token that has died is no error."""
    try:
        with translated_errors(DEAD_TOKEN):
            _client.send_task_success(taskToken=token, output=json.dumps(output))
    except Refused:
        # The run looked again by itself, which is all that this would have done; or it has heard this answer before.
        return


def fail_task(token: str, error_name: str, cause: str) -> None:
    """Let a waiting task fail; a token that has died is no error."""
    try:
        with translated_errors(DEAD_TOKEN):
            _client.send_task_failure(taskToken=token, error=error_name, cause=cause)
    except Refused:
        return
