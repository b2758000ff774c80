"""How many calls of a request wait for one another.

A call that could only be sent after another one had ended is a later trip. Calls that several threads send side by side
are one trip. A clock that counts trips goes with the request: a task starts with the clock of the thread that submitted
it, and whoever takes its result moves its own clock on. So the number depends on the code alone, and not on how busy
the machine is.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

_thread = threading.local()
# Several threads of a pool end at a time.
_lock = threading.Lock()


class TripClock:
    """The trips of one request."""

    def __init__(self) -> None:
        self.trips = 0
        self._tasks: Counter[tuple[int, int]] = Counter()

    def call(self) -> None:
        """Count a call of the current thread."""
        _thread.trips = self.now() + 1
        with _lock:
            self.trips = max(self.trips, _thread.trips)

    def now(self) -> int:
        """Return how many trips have ended that the current thread knows of."""
        if getattr(_thread, "clock", None) is not self:
            raise RuntimeError("a thread calls DynamoDB that no executor started: its trips cannot be counted")
        return int(_thread.trips)

    def advance(self, trips: int) -> None:
        """Let the current thread know that so many trips have ended."""
        _thread.trips = max(self.now(), trips)

    def start(self, trips: int) -> None:
        """Let the current thread begin after so many trips."""
        _thread.clock, _thread.trips = self, trips

    def task_start(self, executor: Executor) -> int:
        """Return after how many trips a task begins that the current thread submits.

        A pool of N threads begins N tasks at a time.
        """
        now, workers = self.now(), getattr(executor, "_max_workers", 1)
        with _lock:
            place = self._tasks[id(executor), now]
            self._tasks[id(executor), now] += 1
        return now + place // workers


def current_clock() -> TripClock | None:
    """Return the clock of the current thread's request."""
    clock: TripClock | None = getattr(_thread, "clock", None)
    return clock


@contextmanager
def counted_trips() -> Iterator[TripClock]:
    """Count the trips of the request that the current thread processes within the block, in its executors too."""
    clock, outer = TripClock(), (current_clock(), getattr(_thread, "trips", 0))
    clock.start(0)
    submit, result = ThreadPoolExecutor.submit, Future.result
    ThreadPoolExecutor.submit, Future.result = _submit(submit), _result(result)  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        ThreadPoolExecutor.submit, Future.result = submit, result  # type: ignore[method-assign]
        _thread.clock, _thread.trips = outer


def _submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    def submit_with_clock(
        executor: ThreadPoolExecutor, task: Callable[..., Any], /, *args: Any, **options: Any
    ) -> Future[Any]:
        clock = current_clock()
        if clock is None:
            return submit(executor, task, *args, **options)
        began, ended = clock.task_start(executor), [0]

        def run() -> Any:
            clock.start(began)
            try:
                return task(*args, **options)
            finally:
                ended[0] = clock.now()
                _thread.clock = None

        future = submit(executor, run)
        vars(future)["ended"] = ended
        return future

    return submit_with_clock


def _result(result: Callable[..., Any]) -> Callable[..., Any]:
    def result_with_clock(future: Future[Any], timeout: float | None = None) -> Any:
        try:
            return result(future, timeout)
        finally:
            clock, ended = current_clock(), vars(future).get("ended")
            if clock is not None and ended is not None:
                clock.advance(ended[0])

    return result_with_clock
