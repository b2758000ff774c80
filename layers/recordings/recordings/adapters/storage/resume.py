"""Read a range of bytes, into the place where they stay, over a connection that may be lost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from recordings.domain.errors import SourceUnavailable

# A body is read in chunks of this size. A lost connection costs one. Larger chunks cost no less time.
CHUNK_BYTES: Final = 256 * 1024
# How many requests in a row may return nothing. The second limit is for connections that return a few bytes each.
MAX_IDLE_REQUESTS: Final = 5
MAX_REQUESTS: Final = 200


@dataclass(slots=True)
class Filling:
    """A range whose first `received` bytes have arrived."""

    _view: memoryview
    received: int = 0

    @property
    def rest(self) -> memoryview:
        """The place of the bytes that are missing."""
        return self._view[self.received :]

    def append(self, chunk: bytes) -> None:
        """Add the bytes that come next.

        Raises:
            SourceUnavailable: they are more than what is missing
        """
        end = self.received + len(chunk)
        if end > len(self._view):
            raise SourceUnavailable("more bytes came than were requested")
        self._view[self.received : end] = chunk
        self.received = end


def read_resuming(
    request_rest: Callable[[Filling], None], buffer: bytearray, lost_connection: tuple[type[Exception], ...]
) -> None:
    """Call `request_rest` until the buffer is full. It adds to what it is given.

    An exception of `lost_connection` does not restart the range.

    Raises:
        SourceUnavailable: too few bytes arrive
    """
    idle = 0
    with memoryview(buffer) as view:
        filling = Filling(view)
        for _ in range(MAX_REQUESTS):
            before = filling.received
            try:
                request_rest(filling)
            except lost_connection as error:
                # The bytes that arrived stay. The next request starts after them.
                _release(error)
            if filling.received == len(buffer):
                return
            idle = 0 if filling.received > before else idle + 1
            if idle == MAX_IDLE_REQUESTS:
                break
    raise SourceUnavailable(f"{filling.received} of {len(buffer)} bytes came before giving up")


def _release(error: BaseException | None) -> None:
    """Free what a caught error holds: its traceback keeps frames and their buffers until a full garbage collection."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
