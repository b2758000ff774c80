"""Formats that are expected by their first bytes, and what is neither audio nor video."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.adapters.storage.media import read_media_facts
from recordings.domain.media import Container, MediaFacts
from tests.support.media import Ranges
from tests.support.media_bytes import FTYP


def facts_of(content: bytes) -> MediaFacts:
    return read_media_facts(Ranges(content), len(content))


# MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo: 417 bytes; ADTS of 200 bytes.
MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)
MONO_MPEG_2 = b"\xff\xf3\x80\xc0" + bytes(204)
ADTS_FRAME = b"\xff\xf1\x50\x80\x19\x1f\xfc" + bytes(193)


def id3(length: int, *, footer: bool = False) -> bytes:
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + (b"\x10" if footer else b"\0") + size + bytes(length + (10 if footer else 0))


def xing(
    frames: int, length: int, *, flags: int = 3, name: bytes = b"Xing", at: int = 36, frame: bytes = MP3_FRAME
) -> bytes:
    tag = name + struct.pack(">III", flags, frames, length)
    return frame[:at] + tag + frame[at + len(tag) :]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (MP3_FRAME * 2, "audio/mpeg"),
        (id3(300) + MP3_FRAME * 2, "audio/mpeg"),
        (id3(300, footer=True) + MP3_FRAME * 2, "audio/mpeg"),
        (id3(200_000) + MP3_FRAME * 2, "audio/mpeg"),
        (MONO_MPEG_2 * 2, "audio/mpeg"),
        # Layers I and II.
        ((b"\xff\xff\x10\x00" + bytes(28)) * 2, "audio/mpeg"),
        ((b"\xff\xfd\x10\x00" + bytes(100)) * 2, "audio/mpeg"),
        (ADTS_FRAME * 2, "audio/aac"),
        (id3(300) + ADTS_FRAME * 2, "audio/aac"),
        (id3(300) + b"fLaC" + bytes(50), "audio/flac"),
        (b"OggS" + bytes(24) + b"OpusHead", "audio/ogg"),
        (b"OggS" + bytes(24) + b"\x80theora" + bytes(20) + b"OggS\x01vorbis", "video/ogg"),
        (b"OggS" + bytes(24) + b"unheard of", "video/ogg"),
        ((b"\x47" + bytes(187)) * 2, "video/mp2t"),
        ((bytes(4) + b"\x47" + bytes(187)) * 9, "video/mp2t"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"#!AMR-WB\n", "audio/amr"),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02\x04\x00", "video/mxf"),
        (b".RMF\0\0\0\x12", "video/vnd.rn-realmedia"),
        (b"\0\0\x01\xb3" + bytes(12), "video/mpeg"),
    ],
)
def test_the_first_bytes_identify_a_format(content: bytes, kind: str) -> None:
    facts = facts_of(content)
    assert (facts.is_media, facts.content_type, facts.duration_seconds) == (True, kind, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"<!doctype html><html><head><title>Sign in</title></head><body>please</body></html>",
        b'{"success": false, "errors": [{"code": 10000}]}',
        b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>",
        "\ufeff<html>".encode(),
        "<html>{}".encode("utf-16"),
        ('{"errors": []}' * 200).encode("utf-16"),
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(30),
        b"\x1f\x8b\x08" + bytes(30),
        b"\x7fELF" + bytes(30),
        b"ftyp",
        b"ftypisom" * 20,
        bytes(1000),
        b"\xff" * 1000,
        b"G" * 100,
        b"Good morning" + b"." * 175 + b"and good night",
        # A picture.
        b"\x89PNG\r\n\x1a\n" + bytes(30),
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(900),
        b"GIF89a" + bytes(30),
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        # Signatures where they do not belong.
        b"FORM\0\0\0\0XXXX",
        b"XXXX\0\0\0\0WAVE",
        b"XfLaC",
        # A frame, and no second one of its kind.
        MP3_FRAME,
        MP3_FRAME + bytes(400),
        MP3_FRAME + ADTS_FRAME,
        MP3_FRAME + MONO_MPEG_2,
        ADTS_FRAME,
        ADTS_FRAME + b"\xff\xf1\x10" + ADTS_FRAME[3:],
        # What no frame can be: version, layer, rate or bitrate that is reserved; a length shorter than its head.
        b"\xff\xeb\x90\x00" * 300,
        b"\xff\xf9\x90\x00" * 300,
        b"\xff\xfb\x9c\x00" * 300,
        b"\xff\xfb\xf0\x00" * 300,
        b"\xff\xfb\x00\x00" * 300,
        b"\xff\xf1\x50\x80\x00\x1f\xfc" * 100,
        b"\xff\xf1\x7c\x80\x19\x1f\xfc" * 100,
        # A tag with nothing behind it, with lengths that are none, and one that is cut.
        id3(300),
        b"ID3\x04\0\0\xff\xff\xff\xff" + bytes(50),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
        b"ID3",
    ],
)
def test_what_is_neither_audio_nor_video_is_no_media(content: bytes) -> None:
    facts = facts_of(content)
    assert (facts.is_media, facts.content_type) == (False, "application/octet-stream")
    assert facts.duration_seconds is None


@pytest.mark.parametrize(
    ("first", "seconds"),
    [
        (xing(383, 834), 10),
        (xing(383, 834, name=b"Info"), 10),
        (xing(383, 834, flags=15), 10),
        (xing(383, 834 + 1500), 10),
        # MPEG-2 at 22 kHz, mono: half the samples a frame, another place.
        (xing(278, 416, at=13, frame=MONO_MPEG_2), 7),
        (xing(383, 834, flags=2), None),
        (xing(383, 834, flags=1), None),
        (xing(0, 834), None),
        (xing(2**32 - 1, 834), None),
        (xing(383, 834, name=b"Zing"), None),
    ],
)
def test_an_mp3_has_its_duration_in_its_first_frame(first: bytes, seconds: int | None) -> None:
    content = first + (MP3_FRAME if first[1] == MP3_FRAME[1] else MONO_MPEG_2)
    for tag in (b"", id3(40)):
        facts = facts_of(tag + content)
        assert (facts.container, facts.truncated, facts.duration_seconds) == (Container.MP3, False, seconds)


def test_an_mp3_that_is_cut_does_not_tell_the_length_of_the_whole() -> None:
    facts = facts_of(xing(383, 160_000) + MP3_FRAME)
    assert (facts.is_media, facts.truncated, facts.duration_seconds) == (True, True, None)


@given(st.text(max_size=400))
def test_no_text_is_media_for_long(text: str) -> None:
    """What begins like a signature is taken for it; any text that people or machines write is not."""
    facts = facts_of(b"<" + text.encode())
    assert facts.is_media is False


@given(st.binary(max_size=500))
def test_any_bytes_are_read_to_an_end(content: bytes) -> None:
    for start in (b"", b"ID3", b"\xff\xfb", b"\xff\xf1", b"OggS", FTYP[:8], b"\x47"):
        facts = facts_of(start + content)
        assert facts.duration_seconds is None or 1 <= facts.duration_seconds <= 90_000
