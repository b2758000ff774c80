"""Every error of AWS, R2 and the network has one class, and every call of the adapters is translated."""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import botocore.exceptions
import botocore.session
import pytest
import urllib3.exceptions
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError

from recordings.adapters.aws import errors
from recordings.adapters.aws.errors import Kind, Refused, kind_of, translated_errors
from recordings.domain.errors import InfrastructureError, Throttled
from recordings.observability import metrics
from tests.support.template import ROOT

ADAPTERS = ROOT / "layers/recordings/recordings/adapters"
PASSING, PERMANENT, REFUSED = Kind.PASSING, Kind.PERMANENT, "refused"

# Every error of the calls in use that botocore's models name.
MODELLED: dict[str, object] = {
    # DynamoDB
    "ConditionalCheckFailedException": REFUSED,
    "IdempotentParameterMismatchException": PERMANENT,
    "InternalServerError": PASSING,
    "ItemCollectionSizeLimitExceededException": PERMANENT,
    "ProvisionedThroughputExceededException": PASSING,
    "ReplicatedWriteConflictException": PASSING,
    "RequestLimitExceeded": PASSING,
    "ResourceNotFoundException": PERMANENT,
    "ThrottlingException": PASSING,
    "TransactionCanceledException": REFUSED,
    "TransactionConflictException": PASSING,
    "TransactionInProgressException": PASSING,
    # S3
    "EncryptionTypeMismatch": PERMANENT,
    "InvalidObjectState": PERMANENT,
    "InvalidRequest": PERMANENT,
    "InvalidWriteOffset": PERMANENT,
    "NoSuchBucket": PERMANENT,
    "NoSuchKey": REFUSED,
    "NoSuchUpload": REFUSED,
    "ObjectAlreadyInActiveTierError": PERMANENT,
    "ObjectNotInActiveTierError": PERMANENT,
    "TooManyParts": PERMANENT,
    # Step Functions
    "ExecutionAlreadyExists": REFUSED,
    "ExecutionDoesNotExist": REFUSED,
    "ExecutionLimitExceeded": PASSING,
    "InvalidArn": PERMANENT,
    "InvalidExecutionInput": PERMANENT,
    "InvalidName": PERMANENT,
    "InvalidOutput": PERMANENT,
    "InvalidToken": REFUSED,
    "KmsAccessDeniedException": PERMANENT,
    "KmsInvalidStateException": PERMANENT,
    "KmsThrottlingException": PASSING,
    "StateMachineDeleting": PERMANENT,
    "StateMachineDoesNotExist": PERMANENT,
    "TaskDoesNotExist": REFUSED,
    "TaskTimedOut": REFUSED,
    "ValidationException": REFUSED,
    # EventBridge, Secrets Manager, STS
    "DecryptionFailure": PERMANENT,
    "ExpiredTokenException": PERMANENT,
    "InternalException": PASSING,
    "InternalServiceError": PASSING,
    "InvalidParameterException": PERMANENT,
    "InvalidRequestException": PERMANENT,
    "MalformedPolicyDocument": PERMANENT,
    "PackedPolicyTooLarge": PERMANENT,
    "RegionDisabledException": PERMANENT,
}
# R2's list (developers.cloudflare.com/r2/api/error-codes), with its statuses.
R2Bucket: dict[str, tuple[int, object]] = {
    "Unauthorized": (401, PERMANENT),
    "AccessDenied": (403, PERMANENT),
    "ExpiredRequest": (400, PERMANENT),
    "SignatureDoesNotMatch": (403, PERMANENT),
    "NotEntitled": (403, PERMANENT),
    "InvalidBucketName": (400, PERMANENT),
    "NoSuchBucket": (404, PERMANENT),
    "BucketNotEmpty": (409, PERMANENT),
    "TooManyBuckets": (400, PERMANENT),
    "BucketConflict": (409, PERMANENT),
    "NoSuchKey": (404, REFUSED),
    "InvalidObjectName": (400, PERMANENT),
    "EntityTooLarge": (400, PERMANENT),
    "MetadataTooLarge": (400, PERMANENT),
    "ObjectLockedByBucketPolicy": (403, PERMANENT),
    "MissingContentLength": (411, PERMANENT),
    "IncompleteBody": (400, PASSING),
    "InvalidDigest": (400, REFUSED),
    "BadDigest": (400, REFUSED),
    "InvalidRange": (416, PERMANENT),
    "PreconditionFailed": (412, REFUSED),
    "EntityTooSmall": (400, PERMANENT),
    "NoSuchUpload": (404, REFUSED),
    "InvalidPart": (400, REFUSED),
    "InternalError": (500, PASSING),
    "ServiceUnavailable": (503, PASSING),
    "ClientDisconnect": (400, PASSING),
    "TooManyRequests": (429, PASSING),
}
# What any service of AWS may answer ("Common Errors" of each API reference).
COMMON: dict[str, tuple[int, object]] = {
    "AccessDeniedException": (403, PERMANENT),
    "ExpiredTokenException": (403, PERMANENT),
    "IncompleteSignature": (403, PERMANENT),
    "InternalFailure": (500, PASSING),
    "InvalidClientTokenId": (403, PERMANENT),
    "MalformedHttpRequestException": (400, PERMANENT),
    "NotAuthorized": (401, PERMANENT),
    "OptInRequired": (403, PERMANENT),
    "RequestAbortedException": (400, PASSING),
    "RequestEntityTooLargeException": (413, PERMANENT),
    "RequestExpired": (400, PERMANENT),
    "RequestTimeoutException": (408, PASSING),
    "ServiceUnavailable": (503, PASSING),
    "Throttling": (400, PASSING),
    "TooManyRequestsException": (429, PASSING),
    "UnrecognizedClientException": (403, PERMANENT),
    "UnknownOperationException": (404, PERMANENT),
    "ValidationError": (400, PERMANENT),
}
# S3's list is in its model, as text. Of those below 500 these pass; the refusals are those that some call names.
S3_PASSING = {"ClientDisconnect", "IncompleteBody", "OperationAborted", "RequestTimeout"}
S3_REFUSED = {
    *("BadDigest", "InvalidDigest", "InvalidPart", "NoSuchKey", "NoSuchUpload", "PreconditionFailed"),
    *("RestoreAlreadyInProgress", "XAmzContentSHA256Mismatch"),
}
# No answer, or not the one that was sent: the same call may do better.
UNANSWERED = {
    *("ConnectionError", "EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"),
    *("HTTPClientError", "ConnectionClosedError", "ReadTimeoutError", "ResponseStreamingError"),
    *("IncompleteReadError", "ChecksumError", "FlexibleChecksumError"),
}


@cache
def refusals(service: str | None = None) -> set[str]:
    """Every code that a call names as a refusal, of one service or of all."""
    used = "".join((ADAPTERS / name).read_text() for name, of in SERVICES.items() if service in (None, of))
    tables = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, frozenset) and "PASSING" not in name
    }
    return {code for name, codes in tables.items() if re.search(rf"\b{name}\b", used) for code in codes}


def an_answer(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Operation")


def class_of(code: str, status: int = 400, service: str | None = None) -> object:
    return REFUSED if code in refusals(service) else kind_of(an_answer(code, status))


# ---------------------------------------------------------------- which calls there are


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ADAPTERS.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def is_client(node: ast.expr) -> bool:
    """Whether the name is one of ours for a client of botocore."""
    match node:
        case ast.Name(id="client" | "_client") | ast.Attribute(attr="client" | "_client"):
            return True
        case ast.Call(func=ast.Name(id="_client")):
            return True
        case ast.Call(func=ast.Name(id="create_client" | "bounded")):
            return True
    return False


def sent(node: ast.AST) -> str | None:
    """The operation of a request that connection.py sends and whose errors it translates, or None."""
    match node:
        case ast.Call(func=ast.Name(id="call" | "_write"), args=[ast.Constant(value=str(operation)), *_]):
            return xform_name(operation)
    return None


def calls(tree: ast.AST, within: tuple[ast.AST, ...] = ()) -> Iterator[tuple[str, int, tuple[ast.AST, ...]]]:
    """The name of each operation that is called or handed on, a paginator's too; its line, and the nodes around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Attribute) and is_client(node.value) and node.attr != "meta":
            name = node.attr
            if name in {"get_paginator", "generate_presigned_url"} and isinstance(tree, ast.Call):
                (first, *_) = tree.args
                assert isinstance(first, ast.Constant)
                name = str(first.value)
            yield name, node.lineno, (*within, tree)
        if isinstance(node, ast.Call) and (operation := sent(node)) is not None:
            yield operation, node.lineno, (*within, tree, node)
        yield from calls(node, (*within, tree))


def is_translating(node: ast.AST) -> bool:
    """Whether the statement is `with translated_errors(…):`."""
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call)
        and isinstance(item.context_expr.func, ast.Name)
        and item.context_expr.func.id == "translated_errors"
        for item in node.items
    )


def makers(tree: ast.Module) -> set[str]:
    """The functions of a module that make a call which they receive, and translate its errors."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {one.name for one in functions if any(is_translating(node) for node in ast.walk(one))}


SERVICES = {
    "dynamodb/capacity.py": "dynamodb",
    "dynamodb/queries.py": "dynamodb",
    "dynamodb/row_pages.py": "dynamodb",
    "dynamodb/transaction.py": "dynamodb",
    "dynamodb/writes.py": "dynamodb",
    "storage/bucket.py": "s3",
    "storage/archive.py": "s3",
    "aws/executions.py": "stepfunctions",
    "aws/task_tokens.py": "stepfunctions",
    "aws/event_bus.py": "events",
    "aws/secrets.py": "secretsmanager",
}


@cache
def model_of(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


@cache
def operations() -> set[tuple[str, str]]:
    """Service and operation of every call in the adapters."""
    found = set()
    for path, tree in trees():
        for name, _, _ in calls(tree):
            place = str(path.relative_to(ADAPTERS))
            assert place in SERVICES, f"which service does {place} call?"
            service = "sts" if name == "assume_role" else SERVICES[place]
            (operation,) = [one for one in model_of(service).operation_names if xform_name(one) == name]
            found.add((service, operation))
    return found


def test_known_calls_are_found() -> None:
    """With other names for the clients the tests below would find no call."""
    assert {("dynamodb", "TransactWriteItems"), ("s3", "CompleteMultipartUpload"), ("s3", "ListParts")} <= operations()
    assert {("stepfunctions", "StartExecution"), ("events", "PutEvents"), ("sts", "AssumeRole")} <= operations()
    assert len(operations()) >= 25


def test_every_error_of_the_calls_in_use_has_its_class() -> None:
    codes = {
        getattr(shape, "error_code", None) or shape.name
        for service, operation in operations()
        for shape in model_of(service).operation_model(operation).error_shapes
    }
    assert codes - MODELLED.keys() == set()
    assert {code: class_of(code) for code in codes} == {code: MODELLED[code] for code in codes}


@pytest.mark.parametrize("table", [R2Bucket, COMMON], ids=["R2Bucket", "AWS"])
def test_every_documented_error_has_its_class(table: dict[str, tuple[int, object]]) -> None:
    assert {code: class_of(code, status) for code, (status, _) in table.items()} == {
        code: wanted for code, (_, wanted) in table.items()
    }


def test_every_error_that_s3_documents_has_its_class() -> None:
    text = re.sub(r"<[^>]+>", " ", model_of("s3").shape_for("Error").members["Code"].documentation)  # type: ignore[attr-defined]
    listed = re.findall(r"Code:\s+(\w+)\s.*?HTTP Status Code:\s+(\w+)", text, re.DOTALL)
    documented = {code: int(status) if status.isdecimal() else 400 for code, status in listed}
    assert len(documented) > 60
    for code, status in documented.items():
        if status >= 500 and code != "NotImplemented":
            wanted: object = PASSING
        elif code in S3_REFUSED:
            wanted = REFUSED
        else:
            wanted = PASSING if code in S3_PASSING else PERMANENT
        assert class_of(code, status, "s3") == wanted, (code, status)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        *((status, PASSING) for status in (429, 500, 502, 503, 504)),
        *((s, PERMANENT) for s in (301, 400, 401, 403, 409)),
    ],
)
def test_an_unknown_code_is_classed_by_its_status(status: int, wanted: Kind) -> None:
    for code in ("SomethingNew", str(status), ""):
        assert kind_of(an_answer(code, status)) is wanted


def test_no_code_has_two_classes() -> None:
    assert not refusals() & errors.PASSING
    assert not errors.PASSING & errors.NOT_PASSING


def unanswered() -> list[type[BotoCoreError]]:
    every = vars(botocore.exceptions).values()
    return [kind for kind in every if inspect.isclass(kind) and issubclass(kind, BotoCoreError)]


@pytest.mark.parametrize("kind", unanswered(), ids=lambda kind: kind.__name__)
def test_every_error_without_a_response_has_its_class(kind: type[BotoCoreError]) -> None:
    error = kind.__new__(kind)
    wanted = PASSING if kind.__name__ in UNANSWERED else PERMANENT
    assert kind_of(error) is wanted
    with pytest.raises(Throttled if wanted is PASSING else InfrastructureError) as reported, translated_errors():
        raise error
    assert reported.value.__cause__ is error


def test_passing_codes_are_codes_that_botocore_knows() -> None:
    assert {kind.__name__ for kind in unanswered()} >= UNANSWERED


@pytest.mark.parametrize(
    "error",
    [
        urllib3.exceptions.ProtocolError("Connection broken"),
        urllib3.exceptions.ReadTimeoutError(cast(Any, None), "", "Read timed out"),
        urllib3.exceptions.IncompleteRead(1, 2),
        ResponseParserError("no element found"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_body_that_breaks_off_is_a_passing_error(error: Exception) -> None:
    with pytest.raises(Throttled) as reported, translated_errors():
        raise error
    assert reported.value.__cause__ is error


# ---------------------------------------------------------------- how they are translated


def test_a_refusal_is_only_for_the_call_that_names_it() -> None:
    with pytest.raises(Refused) as reported, translated_errors({"NoSuchUpload"}):
        raise an_answer("NoSuchUpload", 404)
    assert reported.value.code == "NoSuchUpload"
    with pytest.raises(InfrastructureError), translated_errors({"NoSuchKey"}):
        raise an_answer("NoSuchUpload", 404)


def test_an_error_that_is_not_of_aws_stays_as_it_is() -> None:
    with pytest.raises(KeyError), translated_errors():
        raise KeyError("pk")


def test_the_text_of_a_service_does_not_reach_callers() -> None:
    for error in (an_answer("ThrottlingException"), an_answer("AccessDeniedException", 403)):
        error.response["Error"]["Message"] = "arn:aws:iam::123456789012:user/x may not"
        with pytest.raises((Throttled, InfrastructureError)) as reported, translated_errors():
            raise error
        assert "123456789012" not in str(reported.value)


def test_without_a_response_the_log_has_only_the_host(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Throttled), translated_errors():
        raise botocore.exceptions.ReadTimeoutError(
            endpoint_url="https://r2.example/files/tenant/x.mp4?X-Amz-Signature=1"
        )
    (line,) = [vars(record) for record in caplog.records]
    assert (line["levelname"], line["operation"], line["error"]) == ("WARNING", "r2.example", "ReadTimeoutError")


def test_the_errors_of_every_call_are_translated() -> None:
    outside = []
    for path, tree in trees():
        handed_to = makers(tree)
        for name, line, around in calls(tree):
            match around[-1]:
                case ast.Call(func=ast.Name(id=maker)) if maker in handed_to:
                    continue
            if not any(is_translating(node) or sent(node) for node in around):
                outside.append(f"{path.name}:{line} {name}")
    # Bucket.read's call is in a function that it hands to read_on, within its own block.
    assert [one for one in outside if "get_object" not in one] == []
    assert len(outside) <= 1


def test_a_refusal_is_handled_by_the_call_that_names_it() -> None:
    """A refusal has no meaning above the adapter."""
    for path, tree in trees():
        handled = {
            id(node)
            for attempt in ast.walk(tree)
            if isinstance(attempt, ast.Try)
            and any(isinstance(one.type, ast.Name) and one.type.id == "Refused" for one in attempt.handlers)
            for statement in attempt.body
            for node in ast.walk(statement)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="translated_errors"), args=[_, *_]):
                    # connection.py hands on what its callers name.
                    assert id(node) in handled or path.name == "connection.py", f"{path.name}:{node.lineno}"
                case ast.Call(func=ast.Name(id="call"), args=[_, _, *refusals]) if refusals:
                    assert id(node) in handled, f"{path.name}:{node.lineno}"


def imported(path: Path) -> set[str]:
    """The modules that a file imports, also within functions."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return named | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_only_one_module_knows_the_exceptions_of_botocore() -> None:
    for path in ADAPTERS.rglob("*.py"):
        if path.parent.name != "aws":
            assert not {"botocore.exceptions", "botocore.errorfactory"} & imported(path), path


def test_no_module_above_the_adapters_imports_the_libraries_that_raise() -> None:
    above = (ROOT / "functions", ADAPTERS.parent)
    for path in (path for folder in above for path in folder.rglob("*.py") if ADAPTERS not in path.parents):
        assert not {name.split(".")[0] for name in imported(path)} & {"boto3", "botocore", "requests", "urllib3"}, path


def test_a_permanent_error_is_counted_and_logged_with_its_operation(caplog: pytest.LogCaptureFixture) -> None:
    metrics.clear_metrics()
    with pytest.raises(InfrastructureError), translated_errors():
        raise an_answer("InvalidAccessKeyId", 403)
    assert metrics.metric_set["InfrastructureErrors"]["Value"] == [1]
    metrics.clear_metrics()
    (line,) = [vars(record) for record in caplog.records]
    assert (line["levelname"], line["operation"], line["error"]) == ("ERROR", "Operation", "InvalidAccessKeyId")
