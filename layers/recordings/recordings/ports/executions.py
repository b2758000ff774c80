"""The executions of the state machines."""

from typing import Protocol

from recordings.domain.recording import Recording


class ProcessingExecutions(Protocol):
    """The runs of the processing state machine."""

    def start(self, recording: Recording) -> None:
        """Start the run of this recording and attempt, unless there is one."""

    def replace(self, before: Recording, after: Recording) -> None:
        """End the run of the attempt before, if it is still at work, and start the one after."""

    def is_running(self, recording: Recording) -> bool:
        """Whether the run of this recording and attempt is at work, or has not been started yet."""

    def complete_task(self, token: str) -> None:
        """Let the run that waits under this token look again; a token that has died is no error."""


class ArchivingExecutions(Protocol):
    """The runs of the archiving state machine."""

    def start(self, recording: Recording) -> None:
        """Start the run that moves this recording's file to cold storage, unless there is one."""

    def restart(self, recording: Recording) -> bool:
        """Start another run of a move whose run has died; give whether that was so."""
