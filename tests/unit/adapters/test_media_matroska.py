"""Media facts of Matroska and WebM, by their own bytes, which may be anybody's."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.adapters.storage.media import read_media_facts
from recordings.adapters.storage.media.ranges import MAX_READS, MAX_STEPS
from recordings.domain.media import MAX_DURATION_SECONDS, Container, MediaFacts
from tests.support.media import Ranges
from tests.support.media_bytes import UNKNOWN_SIZE, Sparse, cluster, ebml, element, info, segment, tracks

VOID = b"\xec"


def facts_of(content: bytes) -> MediaFacts:
    return read_media_facts(Ranges(content), len(content))


def seconds_of(content: bytes) -> int | None:
    return facts_of(content).duration_seconds


@pytest.mark.parametrize(
    ("duration", "scale", "seconds"),
    [
        (95_000.0, 1_000_000, 95),
        (95.0, 1_000_000_000, 95),
        (struct.pack(">f", 95_000), 1_000_000, 95),
        # No scale, or an empty one: a millisecond is the default.
        (95_000.0, None, 95),
        (95_000.0, b"", 95),
        (400.0, 1_000_000, 1),
        # A scale of zero makes nothing of any length, and one that is absurd makes too much.
        (95_000.0, 0, None),
        (95_000.0, b"\0", None),
        (95_000.0, 2**63, None),
        (0.0, 1_000_000, None),
        (-0.0, 1_000_000, None),
        (-1000.0, 1_000_000, None),
        (math.nan, 1_000_000, None),
        (math.inf, 1_000_000, None),
        (-math.inf, 1_000_000, None),
        (1e18, 1_000_000, None),
        (1e300, 1_000_000, None),
        (1.7e308, 2**64 - 1, None),
        (5e-324, 1, None),
        (1.0, 1, 1),
        (MAX_DURATION_SECONDS * 1000.0, 1_000_000, MAX_DURATION_SECONDS),
        (MAX_DURATION_SECONDS * 1000.0 + 1, 1_000_000, None),
        # An empty float is 0; one of another width is none.
        (b"", 1_000_000, None),
        (b"\x40", 1_000_000, None),
        (bytes(7), 1_000_000, None),
        (bytes(9), 1_000_000, None),
        (b"\x40\x57\xc0" + bytes(13), 1_000_000, None),
        (None, 1_000_000, None),
    ],
)
def test_a_duration_counts_in_units_of_the_scale(
    duration: float | bytes | None, scale: int | bytes | None, seconds: int | None
) -> None:
    assert seconds_of(ebml() + segment(info(duration, scale), tracks(1, 2), cluster())) == seconds
    expected = facts_of(ebml() + segment(info(duration, scale)))
    assert (expected.is_media, expected.duration_seconds) == (True, seconds)


@pytest.mark.parametrize(
    ("doc_type", "container", "kind"),
    [
        (b"webm", Container.WEBM, "video/webm"),
        (b"webm\0\0\0", Container.WEBM, "video/webm"),
        (b"matroska", Container.MATROSKA, "video/x-matroska"),
        # Players take what names no type for Matroska.
        (None, Container.MATROSKA, "video/x-matroska"),
        # Other files of EBML are no media.
        (b"", Container.UNKNOWN, "application/octet-stream"),
        (b"WEBM", Container.UNKNOWN, "application/octet-stream"),
        (b"something else", Container.UNKNOWN, "application/octet-stream"),
        (b"w" * 500, Container.UNKNOWN, "application/octet-stream"),
    ],
)
def test_webm_and_matroska_differ_by_their_type(doc_type: bytes | None, container: Container, kind: str) -> None:
    facts = facts_of(ebml(doc_type) + segment(info(3000.0), tracks(1, 2)))
    assert (facts.container, facts.content_type) == (container, kind)


@pytest.mark.parametrize(
    ("types", "video", "audio", "kind"),
    [
        ((1, 2), True, True, "video/webm"),
        ((1,), True, False, "video/webm"),
        ((2,), False, True, "audio/webm"),
        ((2, 17), False, True, "audio/webm"),
        # Subtitles alone are neither.
        ((17,), False, False, "application/octet-stream"),
        (None, None, None, "video/webm"),
    ],
)
def test_the_tracks_tell_audio_from_video(
    types: tuple[int, ...] | None, video: bool | None, audio: bool | None, kind: str
) -> None:
    facts = facts_of(ebml() + segment(info(3000.0), *(() if types is None else (tracks(*types),)), cluster()))
    assert (facts.has_video, facts.has_audio, facts.content_type) == (video, audio, kind)


@pytest.mark.parametrize("size", [None, UNKNOWN_SIZE, b"\xff", b"\x7f\xff", b"\x3f\xff\xff"])
@pytest.mark.parametrize("cluster_size", [None, UNKNOWN_SIZE])
@pytest.mark.parametrize("void", [0, 1, 100, 1_000_000])
def test_sizes_may_be_unknown_and_places_kept_free(size: bytes | None, cluster_size: bytes | None, void: int) -> None:
    free = element(VOID, bytes(void))
    content = (
        ebml(b"webm", free) + free + segment(free, info(3000.0), free, tracks(2), cluster(size=cluster_size), size=size)
    )
    facts = facts_of(content)
    assert (facts.duration_seconds, facts.content_type, facts.truncated) == (3, "audio/webm", False)


def test_how_wide_ids_and_sizes_may_be_changes_nothing() -> None:
    for longest in (b"\x01", b"\x04", b"\x08", b"\xff", b""):
        limits = element(b"\x42\xf2", longest), element(b"\x42\xf3", longest)
        assert seconds_of(ebml(b"webm", *limits) + segment(info(3000.0))) == 3
    # An element of a wide id is skipped.
    wide = element(b"\x01" + b"\x22" * 7, bytes(10))
    assert seconds_of(ebml() + segment(wide, info(3000.0))) == 3


def seek_head(**places: int) -> bytes:
    ids = {"info": b"\x15\x49\xa9\x66", "tracks": b"\x16\x54\xae\x6b", "nothing": b""}
    return element(
        b"\x11\x4d\x9b\x74",
        b"".join(
            element(b"\x4d\xbb", element(b"\x53\xab", ids[name]) + element(b"\x53\xac", at.to_bytes(8)))
            for name, at in places.items()
        ),
    )


def test_what_stands_behind_the_media_is_found_by_the_index() -> None:
    media, head = element(b"\x1f\x43\xb6\x75", bytes(100_000)), len(seek_head(info=0, tracks=0, nothing=0))
    index = seek_head(info=head + len(media), tracks=head + len(media) + len(info(3000.0)), nothing=0)
    facts = facts_of(ebml() + segment(index, media, info(3000.0), tracks(2)))
    assert (facts.duration_seconds, facts.content_type) == (3, "audio/webm")


@pytest.mark.parametrize("at", [0, 5, 2**32, 2**64 - 1])
def test_an_index_with_a_wrong_offset_is_ignored(at: int) -> None:
    facts = facts_of(ebml() + segment(seek_head(info=at, tracks=at), cluster(), info(3000.0)))
    assert (facts.is_media, facts.duration_seconds) == (True, None)


def test_a_segment_that_was_cut_has_no_duration() -> None:
    whole = ebml() + segment(info(3000.0), tracks(1), cluster(), size=None)
    assert (facts_of(whole).truncated, seconds_of(whole)) == (False, 3)
    for size in range(len(whole) - len(cluster()), len(whole)):
        facts = facts_of(whole[:size])
        assert (facts.truncated, facts.duration_seconds, facts.content_type) == (True, None, "video/webm")


@pytest.mark.parametrize(
    "content",
    [
        b"\x1a\x45\xdf\xa3",
        ebml(),
        ebml()[:-1],
        ebml() + info(3000.0),
        ebml() + b"\0" * 40,
        element(b"\x1a\x45\xdf\xa3", size=UNKNOWN_SIZE) + segment(info(3000.0)),
        ebml() + element(VOID, bytes(30)),
    ],
)
def test_a_head_without_a_segment_is_no_media(content: bytes) -> None:
    assert facts_of(content).is_media is False


def test_a_segment_of_nothing_is_webm_of_unknown_length() -> None:
    for rest in (b"", b"\0", b"\0" * 50, b"\xff" * 50, b"\x15\x49", b"\x15\x49\xa9\x66", b"\x15\x49\xa9\x66\x80"):
        facts = facts_of(ebml() + segment(rest))
        assert (facts.container, facts.duration_seconds) == (Container.WEBM, None)


def test_nesting_without_end_is_not_followed() -> None:
    content = b""
    for _ in range(2000):
        content = element(b"\xae", content)
    facts = facts_of(ebml() + segment(element(b"\x16\x54\xae\x6b", content), info(3000.0)))
    assert (facts.has_video, facts.duration_seconds) == (False, 3)


def test_a_file_of_tiny_elements_is_given_up() -> None:
    facts = facts_of(ebml() + segment(b"\xec\x80" * (2 * MAX_STEPS), info(3000.0)))
    assert (facts.is_media, facts.duration_seconds) == (True, None)


def test_a_file_of_far_apart_elements_is_given_up() -> None:
    pieces = [one for _ in range(5000) for one in (VOID + b"\x01" + (100_000).to_bytes(7), 100_000)]
    film = Sparse(ebml() + segment(), *pieces, info(3000.0))
    assert read_media_facts(film, film.size).duration_seconds is None
    assert len(film.reads) == MAX_READS


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes_are_read_to_an_end(head: bytes, body: bytes) -> None:
    for content in (b"\x1a\x45\xdf\xa3" + head, ebml() + segment(head, info(3000.0), body)):
        expected = seconds_of(content)
        assert expected is None or 1 <= expected <= MAX_DURATION_SECONDS
