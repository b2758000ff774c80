"""The executions of the state machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from recordings.domain.recording import Recording


class ProcessingExecutions(Protocol):
    """The executions of the processing state machine: one for each attempt.

    Every method raises:
        Throttled: Step Functions is busy or does not respond
        InfrastructureError: Step Functions denies the call
    """

    def start(self, recording: Recording) -> None:
        """Start the execution of the recording's attempt. If it exists, do nothing."""

    def replace(self, before: Recording, after: Recording) -> None:
        """Stop the execution of the attempt before, if it runs, and start the execution of the attempt after."""

    def is_running(self, recording: Recording) -> bool:
        """Whether the execution of the recording's attempt runs, or has not been started yet."""


class WaitingTasks(Protocol):
    """Tasks of executions that wait for a task token. Raises what ProcessingExecutions raises."""

    def check_again(self, token: str) -> None:
        """Complete the task, so that its execution checks the upload again. An invalid token is no error."""


class ArchivingExecutions(Protocol):
    """The executions of the archiving state machine. Raises what ProcessingExecutions raises."""

    def start(self, recording: Recording) -> None:
        """Start the execution that moves the recording's file to the archive. If it exists, do nothing."""

    def restart(self, recording: Recording) -> bool:
        """Start another execution for a move whose execution has ended, and return whether one was started."""
