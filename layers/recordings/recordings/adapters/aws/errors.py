"""Translates the errors of AWS and R2 into errors of the domain. No other module does.

botocore raises two families. `ClientError` has a response with a code. If the service's model names the error, its
class has that name (`InternalServerError`), so no `except` and no `Retry` can list them all. `BotoCoreError` has no
response: a time-out, a lost connection, missing credentials. Each error is one of three:

* passing     busy, slow or unreachable: Throttled. The API responds with 503, workflows retry.
* permanent   permission, configuration, bug: InfrastructureError. The API responds with 500, workflows stop.
* refused     a condition of the request does not hold, and the caller handles that: Refused. Only calls that name these
              codes receive it. For other calls the codes are permanent.

Sources: "Common Errors" in the API reference of each service; DynamoDB Developer Guide, "Error handling with DynamoDB";
S3 API reference, "Error responses"; developers.cloudflare.com/r2/api/error-codes; the service models in botocore.
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

# The connection was lost or timed out, before or within the response. A streamed body raises urllib3's errors.
NO_RESPONSE: Final = (ConnectionError, HTTPClientError, IncompleteReadError, HTTPError)
# The response arrived damaged.
DAMAGED_RESPONSE: Final = (ChecksumError, FlexibleChecksumError, ResponseParserError)

# Busy, or another request holds the resource. An error with status 5xx or 429 passes, whatever its code is.
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
        # Faults of the service. An error that a model names has no status.
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
# Status 5xx, but a retry is of no use.
NOT_PASSING: Final = frozenset({"NotImplemented", "501"})

# Codes that a call may name as refusals.
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
# The API reference does not say how StopExecution responds for an execution that has ended. ValidationException is the
# only error it lists that is not about an absent or malformed ARN.
NOTHING_TO_STOP: Final = NO_EXECUTION | {"ValidationException"}
# The task no longer waits: it timed out, or its execution has ended.
DEAD_TOKEN: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class Refused(Exception):
    """The service refused with a code that the call named. Never leaves the adapters."""

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
    return Kind.PASSING if isinstance(error, NO_RESPONSE + DAMAGED_RESPONSE) else Kind.PERMANENT


def code_of(error: ClientError) -> str:
    """The service's code. The response to a HEAD has no body, so its code is the status ("404")."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status, or 0."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_conflict(error: Throttled) -> bool:
    """Whether nothing was written because a transaction held the item."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and code_of(cause) == "TransactionConflictException"


def is_answered(error: Throttled) -> bool:
    """Whether the service responded that it is busy. If not, the outcome of the request is unknown."""
    return isinstance(error.__cause__, ClientError)


def translate(error: Exception, refusals: Collection[str] = ()) -> Throttled | InfrastructureError | Refused:
    """Return the domain's error for an error of botocore or urllib3, or Refused for a code in `refusals`.

    Logs every fault with its operation and code, or with the host if there was no response. The service's text is not
    logged, because it may contain keys of the table.
    """
    if isinstance(error, ClientError):
        if code_of(error) in refusals:
            return Refused(code_of(error), error.response)
        operation, code, status = error.operation_name, code_of(error), status_of(error)
    else:
        operation, code, status = _host_of(error), type(error).__name__, 0
    if kind_of(error) is Kind.PASSING:
        logger.warning("aws", operation=operation, error=code, status=status)
        return Throttled("A service that this call needs is busy or does not respond. Retry in a moment.")
    logger.error("aws", operation=operation, error=code, status=status)
    count("InfrastructureErrors")
    return InfrastructureError(f"{operation or 'A call to AWS'} failed for good: {code}.")


def _host_of(error: Exception) -> str:
    """The host that did not respond. The rest of a bucket's URL may hold the key of a file, or a signature."""
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    return urlsplit(url).hostname or "" if isinstance(url, str) else ""


@contextmanager
def translated_errors(refusals: Collection[str] = ()) -> Iterator[None]:
    """Raise errors of the domain instead of botocore's within the block.

    Raises:
        Throttled: the service is busy or does not respond; the outcome of a write is unknown
        InfrastructureError: no permission, no such bucket or table, a bug
        Refused: the service responded with one of `refusals`
    """
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError, HTTPError) as error:
        raise translate(error, refusals) from error
