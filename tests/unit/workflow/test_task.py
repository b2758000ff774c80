"""What leaves a task of a workflow: a name that the state machines know, whatever went wrong."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from recordings.adapters.aws import executions as step_functions
from recordings.adapters.dynamodb.connection import client
from recordings.domain import errors
from recordings.domain.errors import InfrastructureError
from recordings.observability import metrics
from recordings.workflow.task import Payload, task
from tests.support.context import Context
from tests.support.faults import failing, no_pauses
from tests.support.functions import handler_of
from tests.support.table import a_table

__all__ = ["no_pauses"]


def own() -> Iterator[type[Exception]]:
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, Exception):
            yield kind


@task
def raising(payload: Payload) -> Payload:
    raise payload["error"]


@pytest.mark.parametrize("kind", [*own()], ids=lambda kind: kind.__name__)
def test_an_error_of_the_domain_leaves_a_task_as_it_is(kind: type[Exception]) -> None:
    error = kind("why")
    with pytest.raises(kind) as told:
        raising({"error": error}, Context())
    assert told.value is error


@pytest.mark.parametrize(
    "error",
    [KeyError("pk"), ReadTimeoutError(endpoint_url="https://r2/x?X-Amz-Signature=secret"), ValueError("secret")],
    ids=lambda error: type(error).__name__,
)
def test_anything_else_leaves_it_as_an_error_that_no_retry_names(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    metrics.clear_metrics()
    with pytest.raises(InfrastructureError) as told:
        raising({"error": error}, Context())
    assert type(told.value) is InfrastructureError
    assert told.value.__cause__ is error
    assert type(error).__name__ in str(told.value)
    assert "secret" not in str(told.value)
    assert "failed" in [record.message for record in caplog.records if record.exc_info]
    assert metrics.metric_set["InfrastructureErrors"]["Value"] == [1]
    metrics.clear_metrics()


@pytest.mark.usefixtures("no_pauses")
def test_a_task_that_waits_by_token_fails_by_a_name_that_is_tried_again() -> None:
    told: list[dict[str, Any]] = []
    work = {"tenant_id": "tenant_1", "recording_id": "rec_1", "attempt": 1}
    with mock_aws(), a_table(), failing(client, "GetItem"), Stubber(step_functions._client) as states:
        states.add_response("send_task_failure", {})
        step_functions._client.meta.events.register_first(
            "before-parameter-build.sfn.SendTaskFailure", lambda params, **_: told.append(dict(params))
        )
        handler_of("workflow/check_upload")({"token": "t", "work": work, "wait_seconds": 5}, Context())
    assert [one["error"] for one in told] == ["Throttled"]
