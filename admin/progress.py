"""Show on stderr that a step runs, and for how long."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

INTERVAL_SECONDS: Final = 10.0


@contextmanager
def step(title: str) -> Iterator[None]:
    """Write the title of the step in the block, and every ten seconds how long it has taken."""
    write(f"{title} …")
    with reporting(lambda seconds: f"{title}: {seconds:.0f} s"):
        yield


@contextmanager
def reporting(line: Callable[[float], str]) -> Iterator[None]:
    """Write a line about the block every ten seconds. `line` receives the seconds since its beginning."""
    finished, started = threading.Event(), time.monotonic()

    def report() -> None:
        while not finished.wait(INTERVAL_SECONDS):
            write(line(time.monotonic() - started))

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        finished.set()
        reporter.join()


def write(line: str) -> None:
    """Write a line to stderr at once."""
    print(line, file=sys.stderr, flush=True)
