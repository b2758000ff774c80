"""CRC-32 (ISO/IEC 13239, as in zlib) of a whole file from the CRCs of its parts."""

from collections.abc import Sequence

POLYNOMIAL = 0xEDB88320

type _Matrix = Sequence[int]


def combined(parts: Sequence[tuple[int, int]]) -> int:
    """The CRC-32 of all parts one after the other; each is (its CRC-32, its length in bytes).

    Appending n zero bytes to a message is a linear map of its CRC over GF(2), and CRCs of equally long messages add by
    exclusive or: so crc(a + b) is the map of crc(a) for len(b), exclusive or crc(b).
    """
    whole, maps = 0, dict[int, _Matrix]()
    for crc, length in parts:
        if length not in maps:
            maps[length] = _zeros(length)
        whole = _times(maps[length], whole) ^ crc
    return whole


def _zeros(length: int) -> _Matrix:
    """The map that appending `length` zero bytes is, as the images of the 32 unit vectors."""
    # One zero bit: shift right, and subtract the polynomial when a one falls out.
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
