"""The runs of the processing state machine."""

import json
import os
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from recordings.domain.recording import Recording

# A token dies with its wait: the run looked again by itself, which is all that waking it would have done.
DEAD_TOKENS: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})

_client = boto3.client(
    "stepfunctions",
    config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
)


class ProcessingRuns:
    """Implements ports.Workflow. A run is named after recording and attempt, so there is one at a time."""

    def start(self, recording: Recording) -> None:
        work = {"tenant_id": recording.tenant_id, "recording_id": recording.id, "attempt": recording.attempt}
        try:
            _client.start_execution(
                stateMachineArn=os.environ["PROCESSING_ARN"],
                name=f"{recording.id}-{recording.attempt}",
                input=json.dumps(work),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise

    def wake(self, token: str) -> None:
        answer_task(token, {"state": "look_again"})


def answer_task(token: str, output: dict[str, object]) -> None:
    """Give a waiting task its result; a token that has died is no error."""
    try:
        _client.send_task_success(taskToken=token, output=json.dumps(output))
    except ClientError as error:
        if error.response["Error"]["Code"] not in DEAD_TOKENS:
            raise


def fail_task(token: str, error_name: str, cause: str) -> None:
    """Let a waiting task fail; a token that has died is no error."""
    try:
        _client.send_task_failure(taskToken=token, error=error_name, cause=cause)
    except ClientError as error:
        if error.response["Error"]["Code"] not in DEAD_TOKENS:
            raise
