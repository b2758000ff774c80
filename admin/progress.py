"""Show on stderr that a step runs, and for how long."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

INTERVAL_SECONDS: Final = 10.0


@contextmanager
def step(title: str) -> Iterator[None]:
    """Write the title of the step in the block, and every ten seconds how long it has taken."""
    finished, started = threading.Event(), time.monotonic()

    def report() -> None:
        while not finished.wait(INTERVAL_SECONDS):
            _write(f"{title}: {time.monotonic() - started:.0f} s")

    _write(f"{title} …")
    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        finished.set()
        reporter.join()


def _write(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
