"""The tenant and the deadline of the current request or task."""

import math
import threading

import pytest

from recordings.request_context import (
    CLEANUP_SECONDS,
    REQUEST_SECONDS,
    RESPONSE_SECONDS,
    cleanup,
    current_tenant,
    remaining_seconds,
    request_context,
    request_seconds,
)
from recordings.workflow.messages.base import NoOutput, TaskInput
from recordings.workflow.task import task
from tests.support.context import Context
from tests.support.template import template


def test_without_a_context_there_is_no_tenant_and_no_deadline() -> None:
    assert current_tenant() is None
    assert remaining_seconds() == math.inf


def test_a_context_ends_with_its_block_also_after_an_error() -> None:
    def work() -> None:
        with request_context(tenant_id="acme", seconds=10):
            assert current_tenant() == "acme"
            assert 9 < remaining_seconds() <= 10
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()
    assert current_tenant() is None
    assert remaining_seconds() == math.inf


def test_another_thread_sees_no_context() -> None:
    seen: list[str | None] = []
    with request_context(tenant_id="acme"):
        thread = threading.Thread(target=lambda: seen.append(current_tenant()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_only_a_cleanup_has_time_beyond_the_deadline() -> None:
    released = cleanup(remaining_seconds)
    with request_context(tenant_id="acme", seconds=0):
        assert CLEANUP_SECONDS - 1 < released() <= CLEANUP_SECONDS
        assert remaining_seconds() <= 0
    assert released() == math.inf


@pytest.mark.parametrize(("function", "request_"), [(29, REQUEST_SECONDS), (60, REQUEST_SECONDS), (10, 6), (2, -2)])
def test_the_calls_of_a_request_end_before_lambda_stops_the_function(function: float, request_: float) -> None:
    assert request_seconds(function) == request_


def test_the_time_limits_add_up_to_the_time_out_of_the_api_functions() -> None:
    assert template()["Globals"]["Function"]["Timeout"] == REQUEST_SECONDS + CLEANUP_SECONDS + RESPONSE_SECONDS


def test_a_task_has_no_deadline() -> None:
    seen: list[float] = []

    @task
    def handler(message: TaskInput) -> NoOutput:
        seen.append(remaining_seconds())
        return NoOutput()

    handler({}, Context())
    assert seen == [math.inf]
