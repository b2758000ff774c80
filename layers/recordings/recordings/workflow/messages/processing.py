"""Messages of the processing state machine."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

from recordings.domain.lifecycle import Status
from recordings.domain.reconciliation import EXPIRED, LOST, TRACKS
from recordings.domain.recording import Failure
from recordings.domain.transfer import TransferPlan, VerifiedFile
from recordings.workflow.messages.base import AttemptInput, Payload, ReceivedResult, TaskInput, TaskOutput, renamed

FAILURES: Final[Mapping[str, Failure]] = {
    "ProviderRecordingFailed": LOST,
    "SourceExpired": EXPIRED,
    "TracksOnly": TRACKS,
}

# An execution of the last release may have caught an error under its old name.
RENAMED_ERRORS: Final = {"CaptureFailed": "ProviderRecordingFailed"}


def _new_name(error: object) -> object:
    return RENAMED_ERRORS.get(error, error) if isinstance(error, str) else error


class CheckUploadInput(AttemptInput):
    # The task token. The state waits until a call completes it, or until `wait_seconds` have passed.
    token: str
    wait_seconds: int


class CheckUploadOutput(TaskOutput):
    """What completes a waiting task. A webhook completes it with another state: then the file is checked again."""

    state: Literal["uploaded", "stalled", "over"]
    # Cloudflare reported an error; the file may be incomplete.
    partial: bool = False


class PlanTransferInput(AttemptInput):
    # False after a source has refused ranges that it announced.
    use_ranges: Annotated[bool, renamed("use_ranges", "ranges")]


class PlanTransferOutput(TaskOutput):
    plan: TransferPlan

    def last_release_keys(self, payload: Payload) -> Payload:
        keys: Payload = payload["plan"]
        return keys


class VerifyTransferInput(TaskInput):
    plan: TransferPlan
    result: Annotated[ReceivedResult, renamed("result", "done")]


class VerifyTransferOutput(TaskOutput):
    file: VerifiedFile

    def last_release_keys(self, payload: Payload) -> Payload:
        keys: Payload = payload["file"]
        return keys


class MarkReadyInput(AttemptInput):
    key: str
    file: VerifiedFile
    # Cloudflare reported an error when the execution waited for the file.
    partial: bool


class AbortTransferInput(TaskInput):
    # None if planning failed: then there is nothing to abort.
    plan: TransferPlan | None


class MarkFailedInput(AttemptInput):
    # The error after which there will be no file.
    error: Annotated[Literal["ProviderRecordingFailed", "SourceExpired", "TracksOnly"], BeforeValidator(_new_name)]

    @property
    def failure(self) -> Failure:
        """What the recording stores about the error."""
        return FAILURES[self.error]


class MarkStalledInput(AttemptInput):
    # The name of the error that ended the attempt; empty if Cloudflare did not finish the file in time.
    error: str


class StatusOutput(TaskOutput):
    """The status of the recording after the task."""

    status: Status


class MarkReadyOutput(StatusOutput):
    pass


class MarkFailedOutput(StatusOutput):
    pass
