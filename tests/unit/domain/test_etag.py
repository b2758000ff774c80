"""What an ETag proves, and the part sizes that fit it."""

from hashlib import md5

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recordings.domain.etag import MIB, names, of_parts, part_sizes, same

SIZES = st.integers(1, 200 * 1024 * MIB)


def stored(content: bytes, part: int | None) -> str:
    """Return the ETag of a file in parts of so many bytes, or from one request."""
    if part is None:
        return md5(content).hexdigest()
    checksums = [md5(content[at : at + part]).digest() for at in range(0, len(content), part)]
    return f"{md5(b''.join(checksums)).hexdigest()}-{len(checksums)}"


def test_the_etag_of_parts_is_that_of_s3() -> None:
    assert of_parts([md5(b"a").hexdigest(), md5(b"b").hexdigest()]) == stored(b"ab", 1)


@given(SIZES, st.integers(1, 6000))
def test_the_size_of_the_parts_is_among_the_hints_and_every_hint_makes_as_many_parts(size: int, mib: int) -> None:
    part = mib * MIB
    number = -(-size // part)
    # No bucket accepts more parts.
    assume(number <= 10_000)
    hints = list(part_sizes(size, f'"{"0" * 32}-{number}"'))
    assert part in hints or number == 1
    assert all(-(-size // one) == number for one in hints)
    assert len(hints) == len(set(hints))


def test_the_usual_sizes_are_hinted_at_first() -> None:
    assert next(part_sizes(20_000_000, "0" * 32 + "-3")) == 8 * MIB
    assert next(part_sizes(300 * MIB, "0" * 32 + "-5")) == 64 * MIB


@pytest.mark.parametrize("etag", [None, "", "x", "0" * 32, "0" * 32 + "-0", "0" * 31 + "-2", "0" * 32 + "-123456"])
def test_no_parts_no_hint(etag: str | None) -> None:
    assert list(part_sizes(20_000_000, etag)) == []


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("part", [None, 1 * MIB, 2 * MIB, 3 * MIB, 8 * MIB])
@pytest.mark.parametrize("size", [1, MIB, 3 * MIB + 1])
def test_an_etag_names_its_bytes_and_no_others(size: int, part: int | None, quoted: bool) -> None:
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    etag = stored(content, part)
    reported = f'"{etag}"' if quoted else etag
    assert names(reported, content)
    for at in (0, size // 2, size - 1):
        assert not names(reported, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


@pytest.mark.parametrize("etag", [None, '"v1"', 'W/"' + "0" * 32 + '"', "0" * 32, "0" * 32 + "-1"])
def test_what_tells_nothing_proves_nothing(etag: str | None) -> None:
    assert not names(etag, b"content")


def test_two_etags_are_the_same_quoted_or_not_and_unknown_ones_never() -> None:
    assert same('"a"', "a")
    assert not same("a", "b")
    assert not same(None, None)
