"""Calls at the same time."""

import threading
from functools import partial

import pytest

from recordings.adapters.dynamodb.parallel import MAX_THREADS, call_in_parallel
from recordings.request_context import current_tenant, remaining_seconds, request_context


def test_results_are_in_the_order_of_the_calls() -> None:
    assert call_in_parallel([partial(int, text) for text in "314159265358979"]) == [int(n) for n in "314159265358979"]


def test_calls_run_at_the_same_time() -> None:
    together = threading.Barrier(MAX_THREADS + 1, timeout=10)
    assert sorted(call_in_parallel([together.wait] * (MAX_THREADS + 1))) == [*range(MAX_THREADS + 1)]


def test_every_call_sees_the_deadline_of_the_request() -> None:
    with request_context(tenant_id="tenant_1", seconds=5):
        seen = call_in_parallel([lambda: (current_tenant(), remaining_seconds() <= 5)] * 4)
    assert seen == [("tenant_1", True)] * 4
    assert call_in_parallel([current_tenant] * 4) == [None] * 4


@pytest.mark.parametrize("failing", [0, 2], ids=["the caller's own", "another thread's"])
def test_an_error_is_raised_after_all_calls_have_ended(failing: int) -> None:
    ended: list[int] = []

    def call(number: int) -> None:
        if number == failing:
            raise LookupError("no such thing")
        ended.append(number)

    with pytest.raises(LookupError, match="no such thing"):
        call_in_parallel([partial(call, number) for number in range(4)])
    assert sorted(ended) == [number for number in range(4) if number != failing]
