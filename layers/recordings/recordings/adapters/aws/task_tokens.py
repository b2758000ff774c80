"""Task tokens of states that wait, in Step Functions. A token that is no longer valid is no error."""

import json
from typing import TYPE_CHECKING

from recordings.adapters.aws.errors import DEAD_TOKEN, Refused, translated_errors

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsTasks:
    """Implements ports.executions.WaitingTasks."""

    def check_again(self, token: str) -> None:
        complete_task(token, {"state": "check_again"})


def complete_task(token: str, output: dict[str, object]) -> None:
    """Complete the task that waits with this token."""
    try:
        with translated_errors(DEAD_TOKEN):
            _client().send_task_success(taskToken=token, output=json.dumps(output))
    except Refused:
        # The wait timed out, and the execution checks by itself; or an earlier call completed the task.
        return


def fail_task(token: str, error_name: str, cause: str) -> None:
    """Fail the task that waits with this token."""
    try:
        with translated_errors(DEAD_TOKEN):
            _client().send_task_failure(taskToken=token, error=error_name, cause=cause)
    except Refused:
        # As above.
        return


def _client() -> "SFNClient":
    # Created at the first call: most webhooks complete no task.
    from recordings.adapters.aws.step_functions import client

    return client
