"""The frame around a task: what it validates, whom it works for, and the errors that leave it."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from recordings.adapters.aws import step_functions
from recordings.adapters.dynamodb.connection import client
from recordings.domain import errors
from recordings.domain.errors import InfrastructureError, InvalidTaskInput, SourceExpired, Throttled
from recordings.observability import logger, metrics
from recordings.request_context import current_tenant
from recordings.workflow.messages.base import AttemptInput, NoOutput, TaskInput, TaskOutput
from recordings.workflow.task import TaskTokens, task, waiting_task
from tests.support.context import Context
from tests.support.faults import failing, no_pauses
from tests.support.functions import handler_of
from tests.support.table import a_table

__all__ = ["no_pauses"]

ATTEMPT = {"tenant_id": "tenant_1", "recording_id": "rec_1", "attempt": 1}
DOMAIN_ERRORS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]


class Copied(TaskInput):
    parts: int


class Counted(TaskOutput):
    parts: int


class Waiting(AttemptInput):
    token: str


@pytest.fixture(autouse=True)
def counted() -> Iterator[dict[str, Any]]:
    metrics.clear_metrics()
    yield metrics.metric_set
    metrics.clear_metrics()


def raising(error: Exception) -> Any:
    @task
    def handler(message: Copied) -> Counted:
        raise error

    return handler


def test_a_task_receives_its_input_model_and_returns_json() -> None:
    @task
    def handler(message: Copied) -> Counted:
        return Counted(parts=message.parts + 1)

    assert handler({"parts": 1}, Context()) == {"parts": 2}


def test_a_task_works_for_the_tenant_of_its_attempt_and_logs_the_recording() -> None:
    seen: list[Any] = []

    @task
    def handler(message: AttemptInput) -> NoOutput:
        keys = logger.get_current_keys()
        seen.append((current_tenant(), keys["tenant_id"], keys["recording_id"], logger.get_correlation_id()))
        return NoOutput()

    assert handler({"attempt": ATTEMPT}, Context()) == {}
    assert seen == [("tenant_1", "tenant_1", "rec_1", "rec_1")]
    assert current_tenant() is None


@pytest.mark.parametrize(
    ("event", "text"),
    [
        pytest.param({}, "Copied: parts: Field required", id="missing"),
        pytest.param(
            {"parts": "secret"}, "Copied: parts: Input should be a valid integer, unable to parse string as an integer",
            id="malformed",
        ),
        pytest.param([], "Copied: event: Input should be a valid dictionary or instance of Copied", id="no object"),
    ],
)  # fmt: skip
def test_an_input_that_does_not_fit_is_a_permanent_error_that_names_the_field(
    event: Any, text: str, counted: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    @task
    def handler(message: Copied) -> Counted:
        raise AssertionError("it must not run")

    with pytest.raises(InvalidTaskInput) as raised:
        handler(event, Context())
    assert str(raised.value) == text
    assert type(raised.value) not in errors.RETRIED
    assert "secret" not in caplog.text
    assert counted["InfrastructureErrors"]["Value"] == [1]


@pytest.mark.parametrize("kind", DOMAIN_ERRORS, ids=lambda kind: kind.__name__)
def test_a_domain_error_leaves_a_task_unchanged(kind: type[Exception]) -> None:
    error = kind("why")
    with pytest.raises(kind) as raised:
        raising(error)({"parts": 1}, Context())
    assert raised.value is error


@pytest.mark.parametrize(
    "error",
    [KeyError("pk"), ReadTimeoutError(endpoint_url="https://r2/x?X-Amz-Signature=secret"), ValueError("secret")],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_leaves_a_task_as_a_permanent_one_without_its_text(
    error: Exception, counted: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InfrastructureError) as raised:
        raising(error)({"parts": 1}, Context())
    assert type(raised.value) is InfrastructureError
    assert raised.value.__cause__ is error
    assert type(error).__name__ in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "failed" in [record.message for record in caplog.records if record.exc_info]
    assert counted["InfrastructureErrors"]["Value"] == [1]


# ---------------------------------------------------------------- states that wait for a token


class Tokens:
    def __init__(self) -> None:
        self.completed: list[Any] = []
        self.failed: list[Any] = []

    @property
    def callbacks(self) -> TaskTokens:
        return TaskTokens(
            complete=lambda token, output: self.completed.append((token, output)),
            fail=lambda token, name, cause: self.failed.append((token, name, cause)),
        )


def test_an_output_completes_the_token_and_none_leaves_it() -> None:
    tokens, outputs = Tokens(), iter([None, Counted(parts=2)])

    @waiting_task(tokens.callbacks)
    def handler(message: Waiting) -> Counted | None:
        return next(outputs)

    event = {"attempt": ATTEMPT, "token": "t"}
    assert handler(event, Context()) == {}
    assert (tokens.completed, tokens.failed) == ([], [])
    assert handler(event, Context()) == {}
    assert (tokens.completed, tokens.failed) == ([("t", {"parts": 2})], [])


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        pytest.param(SourceExpired("gone"), ("t", "SourceExpired", "gone"), id="domain error"),
        pytest.param(
            ValueError("secret"), ("t", "InfrastructureError", "ValueError; the log has the details"), id="any other"
        ),
        pytest.param(SourceExpired("x" * 300), ("t", "SourceExpired", "x" * 256), id="long text"),
    ],
)
def test_an_error_fails_the_token(error: Exception, failed: tuple[str, str, str]) -> None:
    tokens = Tokens()

    @waiting_task(tokens.callbacks)
    def handler(message: Waiting) -> Counted | None:
        raise error

    assert handler({"attempt": ATTEMPT, "token": "t"}, Context()) == {}
    assert (tokens.completed, tokens.failed) == ([], [failed])


def test_an_invalid_input_fails_the_token_if_there_is_one() -> None:
    tokens = Tokens()

    @waiting_task(tokens.callbacks)
    def handler(message: Waiting) -> Counted | None:
        raise AssertionError("it must not run")

    assert handler({"token": "t"}, Context()) == {}
    assert tokens.failed == [("t", "InvalidTaskInput", "Waiting: attempt: Field required")]
    with pytest.raises(InvalidTaskInput, match="token: Field required"):
        handler({"attempt": ATTEMPT}, Context())


def test_a_token_that_cannot_be_completed_is_an_error_of_the_function() -> None:
    def refuse(*_: object) -> None:
        raise Throttled("Step Functions does not respond")

    @waiting_task(TaskTokens(complete=refuse, fail=refuse))
    def handler(message: Waiting) -> Counted | None:
        return Counted(parts=1)

    with pytest.raises(Throttled):
        handler({"attempt": ATTEMPT, "token": "t"}, Context())


@pytest.mark.usefixtures("no_pauses")
def test_check_upload_fails_its_token_with_a_name_that_is_retried() -> None:
    sent: list[dict[str, Any]] = []
    with mock_aws(), a_table(), failing(client, "GetItem"), Stubber(step_functions.client) as states:
        states.add_response("send_task_failure", {})
        step_functions.client.meta.events.register_first(
            "before-parameter-build.sfn.SendTaskFailure", lambda params, **_: sent.append(dict(params))
        )
        event = {"token": "t", "attempt": ATTEMPT, "wait_seconds": 5}
        handler_of("workflow/check_upload")(event, Context())
    assert [one["error"] for one in sent] == ["Throttled"]
    assert Throttled in errors.RETRIED
