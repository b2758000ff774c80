"""Real files with bytes of chance in them: whatever they say, few reads bring facts that can be stored."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.adapters.storage.media import read_media_facts
from recordings.domain.media import EXTENSIONS, MAX_DURATION_SECONDS
from tests.support.media import Ranges, shared_corpus

# Thousands of repetitions of code that other tests cover: measuring them would only take time.
pytestmark = pytest.mark.no_cover

FILES = (
    "h264-aac.mp4", "faststart.mp4", "fragments-frag_keyframe.mp4",
    "fragments-frag_keyframe+empty_moov+skip_trailer.mp4",
    "fragments-dash+global_sidx.mp4", "fragments-frag_keyframe+separate_moof.mp4", "cut-in.mp4", "quicktime.mov",
    "audio.m4a", "vp8-vorbis.webm", "h264-aac.mkv", "live.webm", "mp3.mp3", "aac.aac", "opus.ogg", "stream.ts",
)  # fmt: skip
# What lengths, counts and names are likely to break on.
PATCHES = st.one_of(
    st.sampled_from([
        b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\x08", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x01" + b"\xff" * 7,
        b"moov", b"moof", b"traf", b"trun", b"mdat", b"\x80", b"\x40\0", b"\xec\x80", b"\0", b"\xff",
    ]),
    st.binary(min_size=1, max_size=8),
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["overwrite", "insert", "delete", "repeat", "cut"]),
        # From the beginning, where headers are, from the end, or anywhere.
        st.one_of(st.integers(0, 600), st.integers(-600, -1), st.integers(0, 60_000)),
        PATCHES,
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    corpus = shared_corpus(tmp_path_factory)
    return {name: corpus.read(name) for name in FILES}


def changed(content: bytes, change: str, at: int, patch: bytes) -> bytes:
    at = at % len(content) if content else 0
    match change:
        case "overwrite":
            return content[:at] + patch + content[at + len(patch) :]
        case "insert":
            return content[:at] + patch + content[at:]
        case "delete":
            return content[:at] + content[at + len(patch) :]
        case "repeat":
            return content[:at] + content[at : at + 300] + content[at:]
        case _:
            return content[:at]


@settings(max_examples=600)
@given(st.sampled_from(FILES), CHANGES)
def test_a_damaged_file_gives_facts_that_can_be_stored(
    files: dict[str, bytes], name: str, changes: list[tuple[str, int, bytes]]
) -> None:
    content = files[name]
    for change in changes:
        content = changed(content, *change)
    # It counts the reads and the bytes, and refuses more than are allowed.
    facts = read_media_facts(Ranges(content), len(content))
    assert facts.content_type in EXTENSIONS or not facts.is_media
    seconds = facts.duration_seconds
    assert seconds is None or (type(seconds) is int and 1 <= seconds <= MAX_DURATION_SECONDS)
    assert seconds is None or math.isfinite(seconds)
    # The same again: nothing is kept between two files.
    assert read_media_facts(Ranges(content), len(content)) == facts
