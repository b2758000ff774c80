"""The frame around every function that a state machine calls.

Step Functions compares `Retry` and `Catch` with the exact name of the exception's class, so the names of domain errors
are part of the contract between code and state machines. Every exception that leaves a task is one of domain/errors.py.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_type_hints

from pydantic import BaseModel, ValidationError

from recordings.domain.actor import SystemPart, system
from recordings.domain.errors import (
    InfrastructureError,
    InvalidTaskInput,
    ProviderRecordingFailed,
    RecordingsError,
    TransferError,
)
from recordings.observability import count, identify, invocation, logger
from recordings.request_context import request_context
from recordings.startup import resume_collection
from recordings.workflow.messages.base import AttemptInput, Payload, TaskOutput

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# The attribute of a handler that says which part of the system makes its changes.
PART: Final = "part"

type LambdaHandler = Callable[[Payload, "LambdaContext"], Payload]

# What the execution's history shows of an error. Step Functions accepts 32,768 characters (API reference,
# SendTaskFailure).
MAX_CAUSE_LENGTH: Final = 256


class TaskTokens(NamedTuple):
    """How a task ends the state that waits for its token. An expired token is no error.

    `complete` receives the token and the output, `fail` the token, the name of the error and its cause.
    """

    complete: Callable[[str, dict[str, object]], object]
    fail: Callable[[str, str, str], object]


def task_of[I: BaseModel, O: TaskOutput](part: SystemPart) -> Callable[[Callable[[I], O]], LambdaHandler]:
    """Make a Lambda handler of a function that takes an input model and returns an output model.

    The handler validates the event, logs under the recording's id and works for its tenant. What it changes, this part
    of the system changes. It raises domain errors only, and InvalidTaskInput for an event that does not fit the input
    model.
    """

    def decorate(handle: Callable[[I], O]) -> LambdaHandler:
        input_model, output_model = _models(handle)
        output_model.model_rebuild()

        def run(event: Payload) -> Payload:
            return _run(handle, _validated(input_model, event), part).to_payload()

        return _lambda_handler(handle, run, part)

    return decorate


def task[I: BaseModel, O: TaskOutput](handle: Callable[[I], O]) -> LambdaHandler:
    """Make a Lambda handler, as `task_of` does, for a state machine that works on one recording."""
    decorate: Callable[[Callable[[I], O]], LambdaHandler] = task_of("workflow")
    return decorate(handle)


def waiting_task[I: BaseModel, O: TaskOutput](
    tokens: TaskTokens,
) -> Callable[[Callable[[I], O | None]], LambdaHandler]:
    """Make a Lambda handler, as `task` does, for a state that waits for a task token, `token` in its input.

    An output completes the token, an error fails it, and None leaves it to a webhook or to the state's time-out. The
    error goes to the token because Step Functions waits for that, whatever the function itself returns.
    """

    def decorate(handle: Callable[[I], O | None]) -> LambdaHandler:
        input_model, _ = _models(handle)

        def run(event: Payload) -> Payload:
            token = event.get("token")
            try:
                output = _run(handle, _validated(input_model, event), "workflow")
            except Exception as error:
                if not isinstance(token, str):
                    raise
                known = named(error)
                error_name = type(known).__name__
                logger.info("task failed", code=error_name)
                tokens.fail(token, error_name, str(known)[:MAX_CAUSE_LENGTH])
                return {}
            if output is not None:
                tokens.complete(event["token"], output.to_payload())
            return {}

        return _lambda_handler(handle, run, "workflow")

    return decorate


def _lambda_handler(handle: Callable[..., Any], run: Callable[[Payload], Payload], part: SystemPart) -> LambdaHandler:
    @logger.inject_lambda_context(clear_state=True)
    @wraps(handle)
    def handler(event: Payload, context: "LambdaContext") -> Payload:
        with invocation(context):
            try:
                return run(event)
            except Exception as error:
                known = named(error)
                if known is error:
                    raise
                raise known from error

    setattr(handler, PART, part)
    resume_collection()
    return handler


def _models(handle: Callable[..., Any]) -> tuple[type[BaseModel], type[Any]]:
    """Return the models that a handler is annotated with. The first call of a function must not build them."""
    hints = get_type_hints(handle)
    output_model = hints.pop("return")
    (input_model,) = hints.values()
    input_model.model_rebuild()
    return input_model, output_model


def _validated[I: BaseModel](model: type[I], event: Payload) -> I:
    try:
        return model.model_validate(event)
    except ValidationError as error:
        # Without the values: an event may contain a task token.
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        problems = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'event'}: {fault['msg']}" for fault in faults)
        logger.error("invalid input", problems=problems)
        count("InfrastructureErrors")
        raise InvalidTaskInput(f"{model.__name__}: {problems}") from None


def _run[O](handle: Callable[[Any], O], message: BaseModel, part: SystemPart) -> O:
    attempt = message.attempt if isinstance(message, AttemptInput) else None
    if attempt is not None:
        logger.set_correlation_id(attempt.recording_id)
        identify(tenant_id=attempt.tenant_id, recording_id=attempt.recording_id)
    with request_context(tenant_id=attempt.tenant_id if attempt is not None else None, actor=system(part)):
        return handle(message)


def named(error: Exception) -> Exception:
    """Return a domain error as it is. Log anything else, count it, and return an InfrastructureError.

    Call it while the exception is handled. The text of an unexpected error may contain a presigned URL, so only its
    class is passed on.
    """
    if isinstance(error, RecordingsError | TransferError | ProviderRecordingFailed):
        return error
    logger.exception("failed")
    count("InfrastructureErrors")
    return InfrastructureError(f"{type(error).__name__}; the log has the details")
