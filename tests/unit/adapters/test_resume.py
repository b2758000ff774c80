"""Ranges that are read over several requests, in the place where they stay."""

import pytest

from recordings.adapters.storage.resume import Filling, read_resuming
from recordings.domain.errors import SourceUnavailable

CONTENT = b"the bytes of a range"


class Lost(Exception):
    """A connection that is lost."""


def test_what_arrived_before_a_lost_connection_stays_in_the_buffer() -> None:
    buffer, begins = bytearray(len(CONTENT)), list[int]()

    def request_rest(filling: Filling) -> None:
        begins.append(filling.received)
        filling.append(CONTENT[filling.received : filling.received + 3])
        filling.append(CONTENT[filling.received : filling.received + 4])
        raise Lost

    read_resuming(request_rest, buffer, (Lost,))

    assert bytes(buffer) == CONTENT
    assert begins == [0, 7, 14]
    # Nothing holds the buffer any more.
    buffer.clear()


def test_more_bytes_than_are_missing_are_never_stored() -> None:
    buffer = bytearray(b"before")

    with pytest.raises(SourceUnavailable):
        read_resuming(lambda filling: filling.append(b"too many bytes"), buffer, (Lost,))

    assert buffer == b"before"
