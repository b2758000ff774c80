"""Shows on stderr which step runs and for how long, inside `shown()`. Elsewhere it is silent.

A terminal shows a live line with the seconds; anything else gets a line when a step begins and one every ten seconds.
"""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
LIVE_EVERY, LINE_EVERY = 0.1, 10.0


class _Shown:
    """Whether steps are shown, and since when."""

    began: float | None = None
    drawn = False
    # Of nested steps, only the innermost has a live line. It is the last one here.
    over: Final[list[threading.Event]] = []
    lock = threading.RLock()


@contextmanager
def shown() -> Iterator[None]:
    """Show every step in the block, with the seconds since its start. Also a decorator."""
    before, _Shown.began = _Shown.began, time.monotonic()
    try:
        yield
    finally:
        _Shown.began = before


@contextmanager
def paused() -> Iterator[None]:
    """Hide the live line in the block, which writes to the terminal."""
    with _Shown.lock:
        if _Shown.drawn:
            _write("\r\x1b[2K")
            _Shown.drawn = False
        yield


@contextmanager
def step(title: str, detail: Callable[[], str] = str, *, announced: bool = False) -> Iterator[None]:
    """Show `title` as the step in the block. `detail()` returns its progress.

    An `announced` step, which the caller itself reports, has no line at its start and end.
    """
    if _Shown.began is None:
        yield
        return
    over, live = threading.Event(), sys.stderr.isatty()
    if not live and not announced:
        _write(f"{_elapsed(_Shown.began)}  {title} …\n")
    teller = threading.Thread(target=_tell, args=(_Shown.began, title, detail, over, live), daemon=True)
    began = time.monotonic()
    _Shown.over.append(over)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        _Shown.over.remove(over)
    if live and not announced:
        _write(f"{_elapsed(_Shown.began)}  {title}: {time.monotonic() - began:.1f} s\n")


def last_line(log: Path) -> str:
    """Return the last line of a log; empty if there is none."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _tell(began: float, title: str, detail: Callable[[], str], over: threading.Event, live: bool) -> None:
    frame = 0
    while not over.wait(LIVE_EVERY if live else LINE_EVERY):
        if _Shown.over[-1] is not over:
            continue
        more = "".join(one if one.isprintable() else " " for one in detail())
        line = f"{_elapsed(began)}  {title} … {more}".rstrip()
        if not live:
            _write(f"{line}\n")
            continue
        frame += 1
        with _Shown.lock:
            # A line that wraps cannot be erased.
            _write(f"\r\x1b[2K{FRAMES[frame % len(FRAMES)]} {line}"[: shutil.get_terminal_size().columns + 4])
            _Shown.drawn = True
    with paused():
        pass


def _elapsed(began: float) -> str:
    return f"{time.monotonic() - began:4.0f} s"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
