"""Plausible durations, and the type of a file."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.domain.media import (
    EXTENSIONS,
    MAX_DURATION_SECONDS,
    Container,
    MediaFacts,
    file_extension,
    plausible_duration,
    recording_duration,
)


@pytest.mark.parametrize(
    ("given_seconds", "reported"),
    [
        (1, 1),
        (0.2, 1),
        (1.4, 1),
        (95.6, 96),
        ("95", 95),
        ("95.6", 96),
        (MAX_DURATION_SECONDS, 90_000),
        (MAX_DURATION_SECONDS + 1, None),
        (MAX_DURATION_SECONDS + 0.1, None),
        (0, None),
        (0.0, None),
        (-1, None),
        (-0.4, None),
        (10**18, None),
        (10**298, None),
        (1e300, None),
        (math.inf, None),
        (-math.inf, None),
        (math.nan, None),
        ("nan", None),
        ("1e300", None),
        ("", None),
        ("long", None),
        ("9" * 5000, None),
        (None, None),
        (True, None),
        ([95], None),
        ({}, None),
    ],
)
def test_a_duration_is_plausible_up_to_25_hours(given_seconds: object, reported: int | None) -> None:
    assert plausible_duration(given_seconds) == reported


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans(), st.binary()))
def test_every_value_becomes_a_storable_duration_or_none(given_seconds: object) -> None:
    reported = plausible_duration(given_seconds)
    assert reported is None or (type(reported) is int and 1 <= reported <= MAX_DURATION_SECONDS)


@pytest.mark.parametrize(
    ("announced", "measured", "partial", "stored"),
    [
        (60, 59, False, 60),
        (60, 62, False, 60),
        (60, 63, False, 63),
        (1800, 4, False, 4),
        (4, 1800, False, 1800),
        (None, 59, False, 59),
        (60, None, False, 60),
        (None, None, False, None),
        (-1, 59, False, 59),
        (10**18, 59, False, 59),
        (10**18, None, False, None),
        (60, 0, False, 60),
        (60, 10**298, False, 60),
        (None, 10**298, False, None),
        # Cloudflare's duration includes what a partial file lacks.
        (60, None, True, None),
        (60, 30, True, 30),
        (60, 59, True, 60),
    ],
)
def test_which_duration_is_stored(
    announced: int | None, measured: int | None, partial: bool, stored: int | None
) -> None:
    assert recording_duration(announced, measured, partial=partial) == stored


MEDIA = [one for one in Container if one not in {Container.IMAGE, Container.UNKNOWN}]


@pytest.mark.parametrize("container", MEDIA)
@pytest.mark.parametrize("video", [True, False, None])
@pytest.mark.parametrize("audio", [True, False, None])
def test_every_audio_or_video_file_has_a_type_and_an_extension(
    container: Container, video: bool | None, audio: bool | None
) -> None:
    facts = MediaFacts(container=container, has_video=video, has_audio=audio)
    if video is False and audio is False:
        # For example subtitles only.
        assert (facts.is_media, facts.content_type) == (False, "application/octet-stream")
        return
    assert facts.is_media
    assert facts.content_type.startswith(("video/", "audio/"))
    assert file_extension(facts.content_type) != "bin"


@pytest.mark.parametrize("container", [Container.IMAGE, Container.UNKNOWN])
def test_what_is_neither_audio_nor_video_is_no_media_whatever_its_tracks(container: Container) -> None:
    facts = MediaFacts(container=container, has_video=True, has_audio=True)
    assert (facts.is_media, facts.content_type) == (False, "application/octet-stream")
    assert file_extension(facts.content_type) == "bin"


@pytest.mark.parametrize(
    ("container", "video", "kind", "extension"),
    [
        (Container.MP4, True, "video/mp4", "mp4"),
        (Container.MP4, None, "video/mp4", "mp4"),
        (Container.MP4, False, "audio/mp4", "m4a"),
        (Container.M4A, None, "audio/mp4", "m4a"),
        (Container.QUICKTIME, True, "video/quicktime", "mov"),
        (Container.WEBM, True, "video/webm", "webm"),
        (Container.WEBM, False, "audio/webm", "weba"),
        (Container.MATROSKA, True, "video/x-matroska", "mkv"),
        (Container.MATROSKA, False, "audio/x-matroska", "mka"),
        (Container.MP3, False, "audio/mpeg", "mp3"),
    ],
)
def test_a_file_with_audio_alone_is_an_audio_file(
    container: Container, video: bool | None, kind: str, extension: str
) -> None:
    assert MediaFacts(container=container, has_video=video, has_audio=True).content_type == kind
    assert file_extension(kind) == extension


def test_each_type_has_one_extension() -> None:
    assert all(extension.isalnum() and extension == extension.lower() for extension in EXTENSIONS.values())
