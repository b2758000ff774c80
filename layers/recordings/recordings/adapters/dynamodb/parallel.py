"""Reads that do not wait for one another."""

from collections.abc import Callable, Sequence
from concurrent import futures
from contextvars import copy_context
from functools import cache
from typing import Final

# botocore's pool keeps ten connections (botocore.config.Config); the calling thread uses one itself.
MAX_THREADS: Final = 9


def call_in_parallel[T](calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make these calls at the same time and return their results in order.

    Each sees the context of the caller: the request's deadline. All have ended when this returns or raises; of several
    errors the first in order is raised.
    """
    mine, *others = calls
    started = [_pool().submit(copy_context().run, other) for other in others] if others else []
    try:
        first = mine()
    finally:
        futures.wait(started)
    return [first, *(one.result() for one in started)]


@cache
def _pool() -> futures.ThreadPoolExecutor:
    """Return the threads. They start with the first page that needs them, and stay for the next ones."""
    return futures.ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="read")
