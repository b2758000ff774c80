"""Trips: how many calls of a request wait for one another, however busy the machine is."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from tools.bench.dynamodb.trips import TripClock, counted_trips, current_clock


def call() -> None:
    clock = current_clock()
    assert clock is not None
    clock.call()


def calls(count: int) -> None:
    for _ in range(count):
        call()


def in_sequence() -> None:
    calls(3)


def side_by_side() -> None:
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: call(), range(5)))


def more_than_threads() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: call(), range(5)))


def two_rounds() -> None:
    with ThreadPoolExecutor(5) as pool:
        for _ in range(2):
            list(pool.map(lambda _: call(), range(5)))


def beside_the_caller() -> None:
    with ThreadPoolExecutor(5) as pool:
        future = pool.submit(call)
        call()
        future.result()
        call()


def one_task_longer() -> None:
    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(calls, count) for count in (1, 3)]
        for future in as_completed(futures):
            future.result()
    call()


def without_result() -> None:
    with ThreadPoolExecutor(5) as pool:
        pool.submit(calls, 2)
    call()


@pytest.mark.parametrize(
    ("request_", "trips"),
    [
        pytest.param(in_sequence, 3, id="one after another"),
        pytest.param(side_by_side, 1, id="side by side"),
        pytest.param(more_than_threads, 3, id="more than the pool has threads"),
        pytest.param(two_rounds, 2, id="two rounds in one pool"),
        pytest.param(beside_the_caller, 2, id="beside the thread that submits"),
        pytest.param(one_task_longer, 4, id="the longest task counts"),
        pytest.param(without_result, 2, id="a task whose result is not awaited delays nothing"),
    ],
)
def test_trips_are_calls_that_wait_for_one_another(request_: Callable[[], None], trips: int) -> None:
    for _ in range(20):
        with counted_trips() as clock:
            request_()
        assert clock.trips == trips


def test_a_pool_that_outlives_a_request_begins_the_next_at_zero() -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            with counted_trips() as clock:
                pool.submit(call).result()
            assert clock.trips == 1


def test_an_error_of_a_task_counts_its_trips() -> None:
    def fail() -> None:
        call()
        raise ValueError("lost")

    with ThreadPoolExecutor(1) as pool, counted_trips() as clock:
        with pytest.raises(ValueError, match="lost"):
            pool.submit(fail).result()
        call()
    assert clock.trips == 2


def test_calls_of_a_thread_that_no_executor_started_are_an_error() -> None:
    errors: list[str] = []

    def run(clock: TripClock) -> None:
        try:
            clock.call()
        except RuntimeError as error:
            errors.append(str(error))

    with counted_trips() as clock:
        thread = threading.Thread(target=run, args=(clock,))
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_nothing_is_counted_outside_of_a_request() -> None:
    with counted_trips():
        pass
    assert current_clock() is None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_clock).result() is None
