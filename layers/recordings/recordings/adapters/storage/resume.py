"""Read a range of bytes over a connection that may be lost."""

from collections.abc import Callable
from typing import Final

from recordings.domain.errors import SourceUnavailable

# How many requests in a row may return nothing. The second limit is for connections that return a few bytes each.
MAX_IDLE_REQUESTS: Final = 5
MAX_REQUESTS: Final = 200


def read_resuming(
    request_rest: Callable[[bytearray], None], length: int, lost_connection: tuple[type[Exception], ...]
) -> bytes:
    """Call `request_rest` until `length` bytes are there. It appends to the bytes that it is given.

    An exception of `lost_connection` does not restart the range.

    Raises:
        SourceUnavailable: too few bytes arrive
    """
    got = bytearray()
    idle = 0
    for _ in range(MAX_REQUESTS):
        before = len(got)
        try:
            request_rest(got)
        except lost_connection as error:
            # `got` keeps the bytes that arrived. The next request starts after them.
            _release(error)
        if len(got) == length:
            return bytes(got)
        idle = 0 if len(got) > before else idle + 1
        if idle == MAX_IDLE_REQUESTS:
            break
    raise SourceUnavailable(f"{len(got)} of {length} bytes came before giving up")


def _release(error: BaseException | None) -> None:
    """Free what a caught error holds: its traceback keeps frames and their buffers until a full garbage collection."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
