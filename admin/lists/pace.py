"""Limits what a command asks of the table, and waits while DynamoDB is busy."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, Final

from pynamodb.expressions.condition import Condition

from recordings.adapters.dynamodb.connection import Item
from recordings.adapters.dynamodb.queries import query_items
from recordings.domain.errors import Throttled

MAX_ATTEMPTS: Final = 12
MAX_PAUSE_SECONDS: Final = 30.0
# A throttled command halves its rate. Each second without a throttle gives back a tenth of it.
RECOVERY_PER_SECOND: Final = 0.1
PAGE_SIZE: Final = 500


class Stopped(Exception):
    """Another worker failed, or the operator interrupted the command."""


class Pace:
    """A token bucket that several workers share. `rate` is in recordings per second."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate, self._clock, self._jittered_pause = rate, clock, pause
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        # The share of `rate` that is used now, since when, and when the next recordings may be written.
        self._share, self._share_at = 1.0, clock()
        self._free_at = clock()

    def take(self, count: int) -> None:
        """Wait until `count` more recordings may be written.

        Raises:
            Stopped
        """
        with self._lock:
            now = self._clock()
            start = max(self._free_at, now)
            self._free_at = start + count / (self.rate * self._recovered(now))
        self.pause(start - now)

    def run[T](self, action: Callable[[], T]) -> T:
        """Return what the action returns. Repeat it while DynamoDB is busy: it must be safe to repeat.

        Raises:
            Throttled: DynamoDB is still busy after MAX_ATTEMPTS
            Stopped
        """
        for attempt in range(MAX_ATTEMPTS):
            self.pause(0)
            try:
                return action()
            except Throttled:
                if attempt == MAX_ATTEMPTS - 1:
                    raise
                self._slow_down()
                self.pause(random.uniform(0, min(MAX_PAUSE_SECONDS, 0.5 * 2**attempt)))
        raise AssertionError

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped
        """
        if self._stopped.is_set():
            raise Stopped
        if seconds > 0:
            self._jittered_pause(seconds)

    def stop(self) -> None:
        """Let every worker stop at its next step."""
        self._stopped.set()

    def read[I: Item](
        self,
        cls: type[I],
        pk: str,
        *,
        sort_key: Condition | None = None,
        only: Condition | None = None,
        after: str | None = None,
    ) -> Iterator[I]:
        """Read a partition in the order of its sort keys. A page that DynamoDB refuses is read again."""
        while True:
            page = self.run(lambda start=after: self._page(cls, pk, sort_key, only, start))  # type: ignore[misc]
            yield from page
            if len(page) < PAGE_SIZE:
                return
            after = page[-1].sk

    def _page(
        self, cls: type[Any], pk: str, sort_key: Condition | None, only: Condition | None, after: str | None
    ) -> list[Any]:
        items = query_items(cls, pk, sort_key=sort_key, only=only, after=after, page_size=PAGE_SIZE)
        return list(islice(items, PAGE_SIZE))

    def _slow_down(self) -> None:
        with self._lock:
            now = self._clock()
            self._share, self._share_at = max(0.01, self._recovered(now) / 2), now

    def _recovered(self, now: float) -> float:
        return min(1.0, self._share * (1 + RECOVERY_PER_SECOND * (now - self._share_at)))


def for_each[T](things: Sequence[T], action: Callable[[T], object], *, workers: int, pace: Pace) -> None:
    """Call the action for everything, with several workers. The first error stops all of them.

    Raises:
        What the action raises first
    """
    if workers == 1:
        for thing in things:
            action(thing)
        return
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(action, thing) for thing in things]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            failed = [future for future in done if future.exception() is not None]
            # A worker that was stopped is not the reason.
            failed.sort(key=lambda future: isinstance(future.exception(), Stopped))
            for future in failed:
                future.result()
        except BaseException:
            pace.stop()
            pool.shutdown(cancel_futures=True)
            raise
