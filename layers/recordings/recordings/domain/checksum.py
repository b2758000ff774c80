"""The CRC-32 (ISO/IEC 13239, as in zlib) of a whole file, from the CRC-32s of its parts."""

from collections.abc import Sequence

POLYNOMIAL = 0xEDB88320

type _Matrix = Sequence[int]


def combined_crc32(parts: Sequence[tuple[int, int]]) -> int:
    """Return the CRC-32 of the concatenated parts. Each part is given by its CRC-32 and its length in bytes.

    Appending n zero bytes to a message changes its CRC by a linear map over GF(2). The CRCs of messages of one length
    add by exclusive or. So crc(a + b) is the map for len(b), applied to crc(a), exclusive or crc(b).
    """
    whole, maps = 0, dict[int, _Matrix]()
    for crc, length in parts:
        if length not in maps:
            maps[length] = _appended_zeros(length)
        whole = _times(maps[length], whole) ^ crc
    return whole


def _appended_zeros(length: int) -> _Matrix:
    """Return the map for `length` appended zero bytes, as the images of the 32 unit vectors."""
    # One zero bit: shift right, and subtract the polynomial if the bit that falls out is 1.
    power: _Matrix = [POLYNOMIAL, *(1 << bit for bit in range(31))]
    result: _Matrix = [1 << bit for bit in range(32)]
    bits = 8 * length
    while bits:
        if bits & 1:
            result = [_times(power, row) for row in result]
        power = [_times(power, row) for row in power]
        bits >>= 1
    return result


def _times(matrix: _Matrix, vector: int) -> int:
    total, row = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[row]
        vector >>= 1
        row += 1
    return total
