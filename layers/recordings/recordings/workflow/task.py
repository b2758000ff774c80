"""The frame around every function a state machine calls.

Step Functions matches `Retry` and `Catch` on the exact name of the exception's class, so a domain error is part of the
contract between code and workflow. What leaves a task is always one of domain/errors.py: anything else is a bug.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from recordings.domain.errors import InfrastructureError, ProviderRecordingFailed, RecordingsError, TransferError
from recordings.observability import count, identify, invocation, logger
from recordings.request_context import request_context
from recordings.startup import resume_collection

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Payload = dict[str, Any]


def task(handle: Callable[[Payload], Payload]) -> Callable[[Payload, "LambdaContext"], Payload]:
    """Make a Lambda handler that logs under the recording's id, works for its tenant and raises domain errors alone."""

    @logger.inject_lambda_context(correlation_id_path="work.recording_id", clear_state=True)
    @wraps(handle)
    def handler(event: Payload, context: "LambdaContext") -> Payload:
        work = event.get("work") or {}
        with invocation(context):
            identify(tenant_id=work.get("tenant_id"), recording_id=work.get("recording_id"))
            try:
                with request_context(tenant_id=work.get("tenant_id")):
                    return handle(event)
            except Exception as error:
                told = named(error)
                if told is error:
                    raise
                raise told from error

    resume_collection()
    return handler


def named(error: Exception) -> Exception:
    """The error itself if the domain has it; else InfrastructureError, and the log has the whole of it.

    Call it where the error is handled. The text of what is unexpected may hold a signed URL, so its class must do.
    """
    if isinstance(error, RecordingsError | TransferError | ProviderRecordingFailed):
        return error
    logger.exception("failed")
    count("InfrastructureErrors")
    return InfrastructureError(f"{type(error).__name__}; the log has the whole of it")
