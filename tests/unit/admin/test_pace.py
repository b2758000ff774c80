"""How fast the commands about lists may work."""

import threading

import pytest

from admin.lists.pace import MAX_ATTEMPTS, Pace, Stopped, for_each
from recordings.domain.errors import Throttled


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pace(time: Time) -> Pace:
    return Pace(10, clock=time.clock, pause=time.pause)


def test_no_more_is_taken_than_the_rate_allows(pace: Pace, time: Time) -> None:
    for _ in range(11):
        pace.take(5)
    assert time.now == pytest.approx(5)


def test_a_throttle_halves_the_rate_and_it_recovers(pace: Pace, time: Time) -> None:
    refusals = iter([Throttled("busy")])

    def busy_once() -> str:
        if (error := next(refusals, None)) is not None:
            raise error
        return "done"

    assert pace.run(busy_once) == "done"
    began = time.now
    pace.take(10)
    pace.take(0)
    slow = time.now - began
    assert 1.5 < slow <= 2
    time.now += 60
    began = time.now
    pace.take(10)
    pace.take(0)
    assert time.now - began == pytest.approx(1)


def test_a_table_that_stays_busy_is_given_up(pace: Pace, time: Time) -> None:
    tries = []

    def busy() -> None:
        tries.append(time.now)
        raise Throttled("busy")

    with pytest.raises(Throttled):
        pace.run(busy)
    assert len(tries) == MAX_ATTEMPTS


def test_the_first_error_stops_all_workers(pace: Pace) -> None:
    failed = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            failed.set()
            raise ValueError("it")
        failed.wait(10)
        while True:
            # Until the error stops it.
            pace.pause(0)

    with pytest.raises(ValueError, match="it"):
        for_each(range(4), work, workers=2, pace=pace)
    with pytest.raises(Stopped):
        pace.take(1)
