"""The frame around every function a state machine calls.

Errors are not translated: Step Functions matches `Retry` and `Catch` on the exception's class name, so a domain error
is part of the contract between code and workflow.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from recordings.observability import flush, logger
from recordings.request_context import request_context

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Payload = dict[str, Any]


def task(handle: Callable[[Payload], Payload]) -> Callable[[Payload, "LambdaContext"], Payload]:
    """Make a Lambda handler that logs under the recording's id and works for the recording's tenant."""

    @logger.inject_lambda_context(correlation_id_path="work.recording_id", clear_state=True)
    @wraps(handle)
    def handler(event: Payload, context: "LambdaContext") -> Payload:
        work = event.get("work") or {}
        try:
            with request_context(tenant_id=work.get("tenant_id")):
                return handle(event)
        finally:
            flush()

    return handler
