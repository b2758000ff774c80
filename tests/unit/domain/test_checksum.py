"""The combined CRC-32 of parts is that of the whole file."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.domain.checksum import combined_crc32

PARTS = st.lists(st.binary(max_size=300), max_size=12)


def reported(parts: list[bytes]) -> list[tuple[int, int]]:
    return [(crc32(part), len(part)) for part in parts]


@given(PARTS)
def test_any_parts_make_the_checksum_of_the_whole(parts: list[bytes]) -> None:
    assert combined_crc32(reported(parts)) == crc32(b"".join(parts))


@given(st.binary(max_size=2000), st.integers(1, 400))
def test_equal_parts_make_the_checksum_of_the_whole(content: bytes, size: int) -> None:
    parts = [content[first : first + size] for first in range(0, len(content), size)]
    assert combined_crc32(reported(parts)) == crc32(content)


@given(PARTS, PARTS)
def test_a_combined_checksum_can_be_combined_again(first: list[bytes], second: list[bytes]) -> None:
    wholes = [(combined_crc32(reported(parts)), sum(map(len, parts))) for parts in (first, second)]
    assert combined_crc32(wholes) == crc32(b"".join([*first, *second]))


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=2, max_size=6), st.data())
def test_a_flipped_bit_or_swapped_parts_change_the_checksum(parts: list[bytes], data: st.DataObject) -> None:
    whole = crc32(b"".join(parts))
    at = data.draw(st.integers(0, len(parts) - 1))
    flipped = bytes([parts[at][0] ^ 1]) + parts[at][1:]
    assert combined_crc32(reported([*parts[:at], flipped, *parts[at + 1 :]])) != whole
    assert (combined_crc32(reported(parts[::-1])) == whole) == (b"".join(parts[::-1]) == b"".join(parts))


@pytest.mark.parametrize("parts", [[], [b""], [b"", b""], [b"", b"a", b""], [b"\0" * 7, b""], [b"\0"], [b"\xff" * 65]])
def test_empty_parts_change_nothing(parts: list[bytes]) -> None:
    assert combined_crc32(reported(parts)) == crc32(b"".join(parts))


def test_the_checksum_of_terabytes_is_combined_at_once() -> None:
    # The CRC of n zero bytes is computed by doubling, and must equal that of nine thousand combined parts.
    part, length = crc32(b"\0"), 1
    for _ in range(29):
        part, length = combined_crc32([(part, length)] * 2), 2 * length
    eight = combined_crc32([(part, length)] * 8)
    assert eight == combined_crc32([(combined_crc32([(part, length)] * 2), 2 * length)] * 4)
    assert 0 <= combined_crc32([(part, length)] * 9_000) < 2**32
