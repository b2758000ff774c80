"""Output for people: tables that keep every id whole, and on stderr what a command waits for."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, TextIO, TypeAlias

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from recordings_client.downloads import ProgressCallback
from recordings_client.words import size

GAP: Final = "  "
FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
# Seconds until the live line on a terminal appears, and between updates; the same for lines into a pipe.
LIVE_AFTER, LIVE_EVERY = 0.5, 0.1
LINE_AFTER, LINE_EVERY = 1.5, 10.0

Said: TypeAlias = Callable[[], str]


def printable(text: str) -> str:
    """Replace control characters: names come from other people and must not control the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def width_of(stream: TextIO) -> int | None:
    """Return the columns of the terminal; None for a file or a pipe, which has no width."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def table(names: Sequence[str], rows: Sequence[Sequence[str | None]], *, width: int | None) -> Iterator[str]:
    """Yield the lines of a table; if it is wider than `width`, a paragraph for each row. No cell is cut or wrapped.

    A paragraph begins with the first cell on its own line, so that a double click selects the id at any width.
    """
    cells = [[printable(cell or "–") for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    if width is None or sum(widths) + len(GAP) * (len(widths) - 1) <= width:
        for row in (list(names), *cells):
            yield GAP.join(
                cell + " " * (wide - cell_len(cell)) for cell, wide in zip(row, widths, strict=True)
            ).rstrip()
        return
    for first, *others in cells:
        yield first
        line = ""
        for name, cell in zip(names[1:], others, strict=True):
            fact = f"{GAP}{name} {cell}"
            if line and cell_len(line + fact) > width:
                yield line
                line = ""
            line += fact
        yield line


def facts(pairs: Sequence[tuple[str, str]], *, width: int | None) -> Iterator[str]:
    """Yield a line for each name and value; if it is wider than `width`, two lines."""
    wide = max((cell_len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        line = f"{name}{' ' * (wide - cell_len(name))}{GAP}{printable(value)}"
        if width is None or cell_len(line) <= width:
            yield line
        else:
            yield name
            yield f"{GAP}{printable(value)}"


class Waiting:
    """Shows on stderr what a command waits for: a live line on a terminal, else a line every ten seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._began = self._said = time.monotonic()
        self._due = self._began + (LIVE_AFTER if self._live else LINE_AFTER)

    @contextmanager
    def on(self, what: Said) -> Iterator[None]:
        """Show `what()` while the block runs."""
        if self._quiet:
            yield
            return
        done = threading.Event()
        thread = threading.Thread(target=self._show, args=(what, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _show(self, what: Said, done: threading.Event) -> None:
        frame, shown = 0, False
        while not done.wait(max(0.0, self._due - time.monotonic())):
            now = time.monotonic()
            text = f"{now - self._began:.0f} s  {printable(what())}"
            if self._live:
                frame, shown = frame + 1, True
                line = f"{FRAMES[frame % len(FRAMES)]} {text}"
                # A line that wraps cannot be erased.
                sys.stderr.write(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}")
            else:
                sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
            self._due = now + (LIVE_EVERY if self._live else LINE_EVERY)
        if shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


class Bar:
    """The progress of a download on stderr: a bar on a terminal, else a line every ten seconds."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self._title = printable(title)
        self._done, self._total = 0, 0
        self._quiet = quiet
        self._bar: Progress | None = None

    def __enter__(self) -> ProgressCallback | None:
        if self._quiet:
            return None
        if not sys.stderr.isatty():
            return self._note
        columns = (BarColumn(None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True, highlight=False))
        sys.stderr.write(f"{self}\n")
        self._bar.start()
        task = self._bar.add_task("", total=None)
        bar = self._bar
        return lambda done, total: bar.update(task, completed=done, total=total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def shown(self) -> bool:
        """Whether the bar is on the terminal. Nothing else may write there then."""
        return self._bar is not None

    def __str__(self) -> str:
        if not self._total:
            return f"Downloading {self._title}"
        share = 100 * self._done // self._total
        return f"Downloading {self._title}: {size(self._done)} of {size(self._total)} ({share} %)"

    def _note(self, done: int, total: int) -> None:
        self._done, self._total = done, total
