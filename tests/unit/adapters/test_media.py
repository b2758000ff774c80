"""Media facts of MP4 and its family, by their own bytes, which may be anybody's."""

import struct
from functools import partial
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.adapters.storage.media import read_media_facts
from recordings.adapters.storage.media.ranges import BLOCK_BYTES, MAX_READ_BYTES, MAX_READS, MAX_STEPS
from recordings.domain.media import Container, MediaFacts
from tests.support.media import Ranges
from tests.support.media_bytes import (
    FTYP,
    MDAT,
    Sparse,
    box,
    elst,
    fragmented_movie,
    full_box,
    large_box,
    mfra,
    moof,
    mvhd,
    tfra,
    traf,
    trak,
)


def facts_of(content: bytes) -> MediaFacts:
    return read_media_facts(Ranges(content), len(content))


def seconds_of(content: bytes) -> int | None:
    return facts_of(content).duration_seconds


# ---------------------------------------------------------------- the movie header


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("scale", "length", "seconds"),
    [
        (1000, 90_400, 90),
        (1, 7, 7),
        (90_000, 1, 1),
        (600, 0, None),
        (0, 5000, None),
        (1, 90_000, 90_000),
        (1, 90_001, None),
        (1, 2**32 - 1, None),
        (1, 2**31, None),
        (1000, 2**32 - 1, None),
    ],
)
def test_a_duration_is_in_whole_seconds(version: int, scale: int, length: int, seconds: int | None) -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd(scale, length, version=version)) + MDAT) == seconds


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**64 - 2, 10**18])
def test_an_impossible_duration_is_none(length: int) -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd(1, length, version=1))) is None


def test_a_film_of_a_day_needs_the_wide_header() -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd(90_000, 90_000 * 86_400, version=1))) == 86_400


@pytest.mark.parametrize(("scale", "length"), [(0, 5), (1000, 0), (1000, 2**32 - 1), (1, 10**9)])
def test_the_tracks_tell_where_the_movie_header_does_not(scale: int, length: int) -> None:
    traks = trak(1, scale=90_000, length=90_000 * 7) + trak(2, b"soun", scale=48_000, length=48_000 * 8)
    assert seconds_of(FTYP + box(b"moov", mvhd(scale, length) + traks) + MDAT) == 8


def test_tracks_of_scale_zero_or_unknown_length_tell_nothing() -> None:
    traks = trak(1, scale=0, length=7) + trak(2, scale=1, length=2**32 - 1)
    assert seconds_of(FTYP + box(b"moov", mvhd(0, 5) + traks) + MDAT) is None


@pytest.mark.parametrize("version", [0, 1])
def test_nothing_played_at_the_beginning_is_no_part_of_the_length(version: int) -> None:
    late, later = elst((60_000, -1), (30_000, 0), version=version), elst((70_000, -1), (20_000, 0), version=version)
    moov = box(b"moov", mvhd() + trak(1, edits=late) + trak(2, b"soun", edits=later))
    assert seconds_of(FTYP + moov + MDAT) == 30
    moov = box(b"moov", mvhd() + trak(1, edits=late) + trak(2, b"soun", edits=elst((90_000, 0), version=version)))
    assert seconds_of(FTYP + moov + MDAT) == 90


@pytest.mark.parametrize("edits", [elst(), box(b"edts"), box(b"edts", full_box(b"elst", b"\0\0\0\1")), elst((9, 5))])
def test_an_edit_list_without_an_empty_edit_changes_nothing(edits: bytes) -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd() + trak(edits=edits)) + MDAT) == 90


def test_other_boxes_are_skipped_whatever_way_they_tell_their_length() -> None:
    moov = box(b"moov", box(b"udta", b"x" * 99) + mvhd())
    assert seconds_of(FTYP + box(b"free") + large_box(b"mdat", b"y" * 1000) + moov) == 90
    assert seconds_of(FTYP + large_box(b"moov", mvhd())) == 90
    # Zero: to the end of the file.
    assert seconds_of(FTYP + box(b"moov", mvhd(), length=0)) == 90
    assert seconds_of(FTYP + box(b"mdat", b"z" * 50, length=0)) is None


def test_bytes_behind_the_last_box_are_no_cut() -> None:
    whole = FTYP + box(b"moov", mvhd()) + MDAT
    for more in (b"some words by another program", b"\0", bytes(5), bytes(500)):
        facts = facts_of(whole + more)
        assert (facts.truncated, facts.duration_seconds) == (False, 90), more


def test_a_film_cut_off_anywhere_does_not_tell_the_length_of_the_whole() -> None:
    whole = FTYP + box(b"moov", mvhd() + trak() + box(b"udta", bytes(100))) + box(b"mdat", bytes(1000))
    assert facts_of(whole).truncated is False
    for size in (len(whole) - 1, len(whole) - 1000, len(whole) - 1050):
        facts = facts_of(whole[:size])
        assert (facts.is_media, facts.truncated, facts.duration_seconds) == (True, True, None)


def test_a_film_whose_header_was_never_written_is_cut_off() -> None:
    for mdat in (MDAT, box(b"mdat", bytes(30), length=0)):
        facts = facts_of(FTYP + mdat)
        assert (facts.is_media, facts.content_type, facts.truncated) == (True, "video/mp4", True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0" * 7,
        b"\0" * 64,
        b"\xff" * 64,
        FTYP,
        FTYP[:-1],
        FTYP + box(b"moov"),
        FTYP + box(b"moov", mvhd()[:20]),
        FTYP + box(b"moov", box(b"mvhd", bytes(31))),
        FTYP + box(b"moov", box(b"trak", mvhd())),
        FTYP + box(b"moov", mvhd(1000, 0) + box(b"trak", box(b"mdia", box(b"mdhd") + box(b"hdlr")))),
        FTYP + box(b"moov", mvhd(1000, 0) + box(b"trak", box(b"tkhd") + box(b"mdia", box(b"hdlr", bytes(3))))),
        box(b"free", length=7) + box(b"moov", mvhd()),
        box(b"free", length=2) + box(b"moov", mvhd()),
        struct.pack(">I4sQ", 1, b"free", 0) + box(b"moov", mvhd()),
        struct.pack(">I4sQ", 1, b"free", 15) + box(b"moov", mvhd()),
        struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + box(b"moov", mvhd()),
        struct.pack(">I4s", 1, b"moov"),
        box(b"free", length=2**32 - 1) + box(b"moov", mvhd()),
        FTYP + box(b"moov", b"", length=2**32 - 1),
        FTYP + box(b"moov", struct.pack(">I4s", 2**31, b"mvhd") + bytes(10), length=2**31),
    ],
)
def test_a_broken_or_hostile_file_has_no_facts(content: bytes) -> None:
    assert seconds_of(content) is None


# ---------------------------------------------------------------- what it is


def brand(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible))


@pytest.mark.parametrize(
    ("ftyp", "container"),
    [
        (FTYP, Container.MP4),
        (brand(b"mp42"), Container.MP4),
        (brand(b"XAVC", b"mp42"), Container.MP4),
        (brand(b"iso6", b"mif1"), Container.MP4),
        (brand(b"M4V "), Container.MP4),
        (brand(b"M4A "), Container.M4A),
        (brand(b"M4B "), Container.M4A),
        (brand(b"qt  "), Container.QUICKTIME),
        (brand(b"3gp5"), Container.THREE_GP),
        (brand(b"3g2a"), Container.THREE_G2),
        (box(b"ftyp"), Container.MP4),
        (box(b"styp", b"msdh\0\0\0\0"), Container.MP4),
        # Before there was `ftyp`.
        (b"", Container.QUICKTIME),
        (box(b"wide"), Container.QUICKTIME),
        (box(b"skip", bytes(9)), Container.QUICKTIME),
    ],
)
def test_the_brand_identifies_the_container(ftyp: bytes, container: Container) -> None:
    facts = facts_of(ftyp + box(b"moov", mvhd() + trak(1) + trak(2, b"soun")) + MDAT)
    assert (facts.container, facts.is_media, facts.duration_seconds) == (container, True, 90)


@pytest.mark.parametrize("major", [b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"crx "])
def test_an_image_of_the_family_is_no_media_even_with_a_movie_in_it(major: bytes) -> None:
    facts = facts_of(brand(major, b"isom") + box(b"meta", bytes(40)) + box(b"moov", mvhd() + trak()) + MDAT)
    assert (facts.container, facts.is_media, facts.duration_seconds) == (Container.IMAGE, False, None)


@pytest.mark.parametrize(
    ("handlers", "video", "audio", "kind"),
    [
        ((b"vide", b"soun"), True, True, "video/mp4"),
        ((b"vide",), True, False, "video/mp4"),
        ((b"soun",), False, True, "audio/mp4"),
        ((b"soun", b"text"), False, True, "audio/mp4"),
        # Subtitles alone are neither.
        ((b"text",), False, False, "application/octet-stream"),
        ((), None, None, "video/mp4"),
    ],
)
def test_the_tracks_tell_audio_from_video(
    handlers: tuple[bytes, ...], video: bool | None, audio: bool | None, kind: str
) -> None:
    traks = b"".join(trak(number, handler) for number, handler in enumerate(handlers, start=1))
    facts = facts_of(FTYP + box(b"moov", mvhd() + traks) + MDAT)
    assert (facts.has_video, facts.has_audio, facts.content_type) == (video, audio, kind)


@pytest.mark.parametrize("content", [FTYP, FTYP + box(b"free", bytes(50)), FTYP + box(b"meta", bytes(50))])
def test_a_file_with_nothing_to_play_is_no_media(content: bytes) -> None:
    assert facts_of(content).is_media is False


def test_fragments_before_their_movie_leave_the_length_unknown() -> None:
    movie = box(b"moov", mvhd() + trak(1) + trak(2, b"soun"))
    facts = facts_of(moof(1, traf(1, 0, [1000])) + MDAT + movie)
    assert (facts.has_video, facts.has_audio, facts.duration_seconds) == (True, True, None)
    # An index alone is none.
    assert seconds_of(FTYP + box(b"sidx", bytes(24)) + movie + MDAT) == 90


def test_a_fragment_without_its_movie_is_media_of_unknown_length() -> None:
    for first in (b"", box(b"sidx", bytes(24))):
        facts = facts_of(first + moof(1, traf(1, 0, [1000])) + MDAT)
        assert (facts.content_type, facts.is_media, facts.duration_seconds) == ("video/mp4", True, None)


# ---------------------------------------------------------------- bounds


def test_a_file_in_thousands_of_boxes_is_given_up() -> None:
    film = Sparse(FTYP, *(one for _ in range(5000) for one in (struct.pack(">I4s", 100_008, b"free"), 100_000)))
    assert read_media_facts(film, film.size).duration_seconds is None
    assert len(film.reads) == MAX_READS


def test_a_file_of_tiny_boxes_is_given_up() -> None:
    content = FTYP + box(b"free") * (2 * MAX_STEPS) + box(b"moov", mvhd())
    file = Ranges(content)
    assert read_media_facts(file, len(content)).duration_seconds is None
    assert len(file.reads) <= 1 + 8 * MAX_STEPS // BLOCK_BYTES


def test_fragments_that_ask_for_much_work_are_given_up() -> None:
    heavy = moof(1, *(traf(1, 0, [1] * 100_000) for _ in range(12)))
    pieces = [fragmented_movie(), heavy, MDAT]
    film = Sparse(*pieces, 20_000_000)
    assert read_media_facts(film, film.size).duration_seconds is None
    assert sum(film.reads) <= MAX_READ_BYTES


def test_deep_nesting_is_not_followed() -> None:
    content = b""
    for kind, _ in zip((b"moov", b"trak", b"mdia") * 2000, count(), strict=False):
        content = box(kind, content)
    assert seconds_of(FTYP + content) is None


def test_a_real_header_takes_one_read_and_one_for_each_jump() -> None:
    moov = box(b"moov", mvhd() + trak() + trak(2, b"soun") + box(b"udta", bytes(10_000)))
    film = Sparse(FTYP, struct.pack(">I4sQ", 1, b"mdat", 16 + 10**9), 10**9, moov)
    facts = read_media_facts(film, film.size)
    assert (facts.duration_seconds, facts.has_video, facts.has_audio) == (90, True, True)
    assert len(film.reads) == 2


def test_what_the_store_raises_is_raised() -> None:
    def read(first: int, last: int) -> bytes:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        read_media_facts(read, 100)


def at_most(content: bytes, most: int, first: int, last: int) -> bytes:
    return content[first : last + 1][:most]


def test_a_store_that_gives_fewer_bytes_than_asked_breaks_nothing() -> None:
    content = FTYP + box(b"moov", mvhd() + trak()) + MDAT
    for most in range(40):
        facts = read_media_facts(partial(at_most, content, most), len(content))
        assert facts.duration_seconds in {None, 90}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_an_end(content: bytes) -> None:
    assert seconds_of(content) is None or content


@given(
    st.lists(
        st.sampled_from(
            [
                FTYP, box(b"moov", mvhd()), box(b"free"), b"\0\0\0\1mdat", b"\0", b"\xff\xff", fragmented_movie(), MDAT,
                moof(1, traf(1, 0, [1000])), moof(2, traf(2, 5, [9])), mfra(tfra(1, (0, 24))),
            ]
        ),
        max_size=8,
    )
)  # fmt: skip
def test_any_row_of_boxes_is_read_to_an_end(boxes: list[bytes]) -> None:
    assert seconds_of(b"".join(boxes)) in {None, 1, 90}
