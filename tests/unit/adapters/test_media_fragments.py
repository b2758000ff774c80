"""The length of MP4 files in fragments, built byte by byte."""

import struct

import pytest

from recordings.adapters.storage.media import read_media_facts
from recordings.adapters.storage.media.ranges import MAX_READS
from recordings.domain.media import MediaFacts
from tests.support.media import Ranges
from tests.support.media_bytes import MDAT, Sparse, box, fragmented_movie, full_box, mehd, mfra, moof, tfra, traf, trak


def facts_of(content: bytes) -> MediaFacts:
    return read_media_facts(Ranges(content), len(content))


def seconds_of(content: bytes) -> int | None:
    return facts_of(content).duration_seconds


@pytest.mark.parametrize("length", [0, 10_000, 2**32 - 1])
@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        (mehd(173_000), 173),
        (mehd(173_000, version=1), 173),
        # What the writer never came back to fill in, what is unknown, and what cannot be.
        (mehd(0), None),
        (mehd(0, version=1), None),
        (mehd(2**32 - 1), None),
        (mehd(2**64 - 1, version=1), None),
        (mehd(10**18, version=1), None),
        (full_box(b"mehd", b""), None),
        (full_box(b"mehd", bytes(4), version=1), None),
        (b"", None),
    ],
)
def test_a_fragmented_film_has_its_duration_in_a_box_of_its_own(
    length: int, expected: bytes, seconds: int | None
) -> None:
    fragments = b"".join(moof(number) + MDAT for number in range(1, 6))
    assert seconds_of(fragmented_movie(length, total=expected) + fragments) == seconds


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("mvhd_length", [0, 2000, 10_000])
def test_fragments_last_until_the_last_of_any_track_ends(version: int, mvhd_length: int) -> None:
    content = fragmented_movie(mvhd_length) + b"".join(
        moof(
            n,
            traf(1, 2000 * n, [500] * 4, version=version),
            traf(2, 96_000 * n, [1024] * 100, version=version),
        )
        + MDAT
        for n in range(10)
    )
    assert seconds_of(content) == 20
    assert facts_of(content).truncated is False


def test_a_recording_that_was_cut_out_of_a_longer_one_lasts_as_long_as_it_is() -> None:
    begin = 3600_000
    content = fragmented_movie() + b"".join(moof(n, traf(1, begin + 2000 * n, [2000])) + MDAT for n in range(4))
    assert seconds_of(content) == 8


def test_samples_before_the_first_fragment_count() -> None:
    content = fragmented_movie(2000, traks=trak(1, length=2000)) + moof(1, traf(1, 2000, [3000])) + MDAT
    assert seconds_of(content) == 5


@pytest.mark.parametrize("default", [0, 40])
def test_the_duration_of_all_samples_may_be_a_default(default: int) -> None:
    """By the movie, or by the fragment."""
    in_fragment = None if default else 40
    fragment = traf(1, 4000, [0] * 50, default=40) if in_fragment else _by_movie(50)
    assert (
        seconds_of(fragmented_movie(default=default) + moof(1, traf(1, 0, [40])) + MDAT + moof(2, fragment) + MDAT) == 6
    )


def _by_movie(samples: int) -> bytes:
    tfhd = full_box(b"tfhd", struct.pack(">I", 1))
    tfdt = full_box(b"tfdt", struct.pack(">I", 4000))
    return box(b"traf", tfhd + tfdt + full_box(b"trun", struct.pack(">I", samples)))


def test_fragments_without_times_follow_each_other() -> None:
    content = fragmented_movie() + b"".join(moof(n, traf(1, None, [1000])) + MDAT for n in range(7))
    assert seconds_of(content) == 7
    # Whether the movie header counts them, or what is before them, nobody can tell.
    content = fragmented_movie(1000, traks=trak(1, length=1000)) + b"".join(
        moof(n, traf(1, None, [1000])) + MDAT for n in range(7)
    )
    assert seconds_of(content) is None


@pytest.mark.parametrize(
    "odd",
    [
        traf(9, 5000, [1000]),
        traf(1, 5000, [0] * 30, default=0),
        box(b"traf", full_box(b"tfdt", struct.pack(">I", 9000))),
        box(b"traf", full_box(b"tfhd", struct.pack(">I", 1)) + full_box(b"trun", b"")),
        box(b"traf", full_box(b"tfhd", struct.pack(">I", 1)) + full_box(b"trun", struct.pack(">I", 9), flags=0x100)),
        box(b"traf", full_box(b"tfhd", struct.pack(">I", 1)) + full_box(b"trun", b"\xff" * 4, flags=0xF00)),
        box(b"traf", full_box(b"tfhd", b"")),
    ],
)
def test_a_fragment_that_cannot_be_placed_leaves_the_length_unknown(odd: bytes) -> None:
    content = fragmented_movie() + moof(1, traf(1, 0, [2000])) + MDAT + moof(2, odd) + MDAT
    assert seconds_of(content) is None


def test_a_time_of_all_ones_is_none() -> None:
    content = fragmented_movie() + moof(1, traf(1, 0, [2000])) + MDAT + moof(2, traf(1, 2**64 - 1, [1000])) + MDAT
    assert seconds_of(content) == 3


def test_one_track_in_two_runs_of_a_fragment_ends_where_the_later_ends() -> None:
    content = fragmented_movie() + moof(1, traf(1, 0, [2000]), traf(1, 2000, [2000])) + MDAT
    assert seconds_of(content) == 4


def test_a_movie_without_any_fragment_is_as_long_as_its_header_says() -> None:
    assert seconds_of(fragmented_movie(5000) + MDAT) == 5


def test_fragments_that_are_cut_count_as_far_as_they_are_whole() -> None:
    fragments = [moof(n, traf(1, 2000 * n, [2000])) + MDAT for n in range(3)]
    whole = fragmented_movie(total=mehd(6000)) + b"".join(fragments)
    assert (facts_of(whole).truncated, seconds_of(whole)) == (False, 6)
    for missing in (1, len(MDAT) - 8, len(MDAT) - 4, len(MDAT), len(MDAT) + 8, len(fragments[-1]) - 20):
        facts = facts_of(whole[:-missing])
        assert (facts.truncated, facts.duration_seconds) == (True, 4), missing


def long_film(count_of: int, *, payload: int = 300_000, last: bytes = b"") -> tuple[list[bytes | int], list[int]]:
    """A film in fragments of two seconds, of mostly zeros, and where each of them begins."""
    pieces: list[bytes | int] = [fragmented_movie()]
    offsets, at = [], len(fragmented_movie())
    for n in range(count_of):
        head = moof(n, traf(1, 2000 * n, [40] * 50), traf(2, 96_000 * n, [1024] * 90)) + struct.pack(
            ">I4s", 8 + payload, b"mdat"
        )
        pieces += [head, payload]
        offsets.append(at)
        at += len(head) + payload
    return [*pieces, last], offsets


def test_a_long_film_in_fragments_is_measured_from_its_end() -> None:
    pieces, _ = long_film(1800)
    film = Sparse(*pieces)
    assert film.size > 500_000_000
    assert read_media_facts(film, film.size).duration_seconds == 3600
    assert len(film.reads) <= MAX_READS
    assert sum(film.reads) < 3_000_000


def test_a_long_film_with_an_index_is_measured_by_it() -> None:
    pieces, offsets = long_film(900, payload=9_000_000)
    index = mfra(
        tfra(1, *((n, at) for n, at in enumerate(offsets))), tfra(2, (0, offsets[0]), (9, offsets[-2])), tfra(3)
    )
    film = Sparse(*pieces, index)
    # The last fragment does not fit into the tail that is searched.
    assert read_media_facts(film, film.size).duration_seconds == 1800
    assert sum(film.reads) < 2_000_000
    without = Sparse(*pieces)
    assert read_media_facts(without, without.size).duration_seconds is None


@pytest.mark.parametrize(
    "index",
    [
        mfra(),
        mfra(tfra(1)),
        mfra(tfra(1, (0, 5))),
        mfra(tfra(1, (0, 2**63))),
        mfra(tfra(1, (0, 0)), tfra(2, (0, 9))),
        box(b"mfra", full_box(b"tfra", bytes(9)) + full_box(b"mfro", (8 + 21 + 16).to_bytes(4))),
        *(box(b"free", full_box(b"mfro", size.to_bytes(4))) for size in (24, 16, 0, 2**32 - 1)),
    ],
)
def test_a_wrong_index_gives_way_to_the_tail(index: bytes) -> None:
    pieces, _ = long_film(100, last=index)
    film = Sparse(*pieces)
    assert read_media_facts(film, film.size).duration_seconds == 200
    assert len(film.reads) <= MAX_READS


@pytest.mark.parametrize("times", [1, 100])
def test_picture_bytes_that_read_like_a_fragment_are_none(times: int) -> None:
    """A `moof` within media data, one that leads to the end of the file even, is not taken for a fragment."""
    payload = 200_000
    false = b"moof" + box(b"moof", box(b"free", bytes(12))) + box(b"moof", bytes(3))
    to_the_end = box(b"moof", length=8 + payload) + bytes(payload)
    tail = moof(100, traf(1, 200_000, [5000])) + box(b"mdat", bytes(payload) + false * times + to_the_end)
    pieces, _ = long_film(100, payload=50_000, last=tail)
    film = Sparse(*pieces)
    assert read_media_facts(film, film.size).duration_seconds == 205


def test_a_film_whose_end_is_no_box_is_of_unknown_length() -> None:
    """No list of boxes leads to the end, so that none can be expected from a picture's bytes."""
    pieces, _ = long_film(28, payload=33_000, last=b"some words by another program")
    film = Sparse(*pieces)
    assert film.size < 1024 * 1024
    facts = read_media_facts(film, film.size)
    assert (facts.is_media, facts.duration_seconds) == (True, None)


def test_a_long_film_that_is_cut_counts_as_far_as_it_is_whole() -> None:
    pieces, _ = long_film(200)
    film = Sparse(*pieces, moof(200, traf(1, 400_000, [2000])), struct.pack(">I4s", 500_000, b"mdat"), 1000)
    facts = read_media_facts(film, film.size)
    assert (facts.truncated, facts.duration_seconds) == (True, 400)
