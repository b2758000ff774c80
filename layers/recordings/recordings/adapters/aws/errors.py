"""What AWS and R2 answer when they do not do what they were asked, as errors of the domain: the only place.

botocore raises two families. `ClientError` has a response with a code; an error that the service's model names comes
under a class of its own (`InternalServerError`), which is why no `except` or `Retry` can list them by class.
`BotoCoreError` has no response: a time-out, a broken connection, no credentials. Each error is one of three:

* passing     busy, slow or out of reach: Throttled. The API answers 503, workflows try again.
* permanent   permission, configuration, bug: InfrastructureError. The API answers 500, workflows stop.
* refused     a condition of the request does not hold, and the caller of the service has an answer to that: Refused.
              Only calls that name such codes get it; for all others these codes are permanent.

Sources: "Common Errors" of each service's API reference; DynamoDB Developer Guide, "Error handling with DynamoDB"; S3
API reference, "Error responses"; developers.cloudflare.com/r2/api/error-codes; the service models in botocore.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from recordings.domain.errors import InfrastructureError, Throttled
from recordings.observability import count, logger

# A connection that broke or timed out, before the answer or within it. urllib3's come out of a body that is streamed.
NO_ANSWER: Final = (ConnectionError, HTTPClientError, IncompleteReadError, HTTPError)
# The answer came, and not as it was sent.
DAMAGED_ANSWER: Final = (ChecksumError, FlexibleChecksumError, ResponseParserError)

# Busy, or another request holds what this one wants. Those of status 5xx and 429 pass whatever their code is.
PASSING: Final = frozenset(
    {
        # DynamoDB
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "TransactionConflictException",
        "TransactionInProgressException",
        # S3 and R2
        "ClientDisconnect",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "OperationAborted",
        "RequestTimeout",
        "SlowDown",
        "TooManyRequests",
        # Step Functions
        "ExecutionLimitExceeded",
        "KmsThrottlingException",
        # Faults of a service, which has no status where a model raises them
        "InternalError",
        "InternalException",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "ServiceUnavailable",
        # Any service
        "RequestAbortedException",
        "RequestLimitExceeded",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# A server's status, but no use in trying again.
NOT_PASSING: Final = frozenset({"NotImplemented", "501"})

# What a call may name as its refusals.
CONDITION_FAILED: Final = frozenset({"ConditionalCheckFailedException"})
CANCELED: Final = frozenset({"TransactionCanceledException"})
NO_OBJECT: Final = frozenset({"404", "NoSuchKey", "NotFound"})
NO_UPLOAD: Final = frozenset({"404", "NoSuchUpload"})
CHANGED: Final = frozenset({"412", "PreconditionFailed"})
DAMAGED: Final = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"})
PARTS_MISSING: Final = frozenset({"InvalidPart"})
RESTORING: Final = frozenset({"RestoreAlreadyInProgress"})
NO_EXPEDITED: Final = frozenset({"GlacierExpeditedRetrievalNotAvailable"})
EXECUTION_EXISTS: Final = frozenset({"ExecutionAlreadyExists"})
NO_EXECUTION: Final = frozenset({"ExecutionDoesNotExist"})
# That StopExecution refuses an execution that has ended is not documented; the one error that it could refuse it with,
# beside those for what is absent or malformed, is ValidationException (API reference).
NOTHING_TO_STOP: Final = NO_EXECUTION | {"ValidationException"}
# The wait is over: the execution asked again by itself, or has ended.
DEAD_TOKEN: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class Refused(Exception):
    """A refusal that the call has named. It never leaves the adapters."""

    def __init__(self, code: str, response: Mapping[str, Any]) -> None:
        super().__init__(code)
        self.code, self.response = code, response


class Kind(Enum):
    PASSING = "passing"
    PERMANENT = "permanent"


def kind_of(error: Exception) -> Kind:
    """Whether the same request may succeed later."""
    if isinstance(error, ClientError):
        code, status = code_of(error), status_of(error)
        if code in PASSING:
            return Kind.PASSING
        server = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
        return Kind.PASSING if server and code not in NOT_PASSING else Kind.PERMANENT
    return Kind.PASSING if isinstance(error, NO_ANSWER + DAMAGED_ANSWER) else Kind.PERMANENT


def code_of(error: ClientError) -> str:
    """The service's code. The answer to a HEAD has no body, so its code is the status ("404")."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status, or 0."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_conflict(error: Throttled) -> bool:
    """Whether a transaction held the item that was to be written, and nothing was written."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and code_of(cause) == "TransactionConflictException"


def is_answered(error: Throttled) -> bool:
    """Whether the service said that it is busy; else nothing came, and what became of the request is unknown."""
    return isinstance(error.__cause__, ClientError)


def translate(error: Exception, refusals: Collection[str] = ()) -> Throttled | InfrastructureError | Refused:
    """The domain's error for one of botocore or urllib3; Refused for a code among `refusals`.

    Every fault is logged by its operation (its host where there was no answer) and code, without the service's text:
    that may hold keys of the table.
    """
    if isinstance(error, ClientError):
        if code_of(error) in refusals:
            return Refused(code_of(error), error.response)
        operation, code, status = error.operation_name, code_of(error), status_of(error)
    else:
        operation, code, status = _host_of(error), type(error).__name__, 0
    if kind_of(error) is Kind.PASSING:
        logger.warning("aws", operation=operation, error=code, status=status)
        return Throttled("a service that this call needs is busy or does not answer; try again in a moment")
    logger.error("aws", operation=operation, error=code, status=status)
    count("InfrastructureErrors")
    return InfrastructureError(f"{operation or 'a call of AWS'} failed for good: {code}")


def _host_of(error: Exception) -> str:
    """The host that did not answer; the rest of a URL of a bucket holds the key of a file, or a signature."""
    told = getattr(error, "kwargs", {}).get("endpoint_url")
    return urlsplit(told).hostname or "" if isinstance(told, str) else ""


@contextmanager
def translated_errors(refusals: Collection[str] = ()) -> Iterator[None]:
    """Raise the domain's errors for those of botocore, within the block.

    Raises:
        Throttled: the service is busy or does not answer; what became of a write is unknown
        InfrastructureError: no permission, no such bucket or table, a bug
        Refused: the service answered with one of `refusals`
    """
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError, HTTPError) as error:
        raise translate(error, refusals) from error
