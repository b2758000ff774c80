"""Media facts of files that ffmpeg wrote, held against what FFmpeg's own libraries find in them."""

import av
import pytest

from recordings.adapters.storage.media import read_media_facts
from recordings.domain.media import MediaFacts, file_extension
from tests.support.media import CLIPS, FRAGMENT_FLAGS, Corpus, Ranges, probe, shared_corpus

# Names whose content is an image.
IMAGES = {name for name in CLIPS if name.startswith("picture.")}
# Formats whose length is not read, because Cloudflare makes none of them, and files that do not tell theirs.
UNTOLD = {
    "bare.mp3", "live.mkv", "live.webm", "opus.ogg", "flac.ogg", "theora.ogv", "flac.flac", "aac.aac", "mp2.mp2",
    "wave.wav", "wave.w64", "wave.au", "wave.aiff", "wave.caf", "wavpack.wv", "stream.ts", "stream.m2ts", "program.mpg",
    "flash.flv", "old.avi", "windows.wmv", "vp8.ivf", "nut.nut", "raw.y4m",
}  # fmt: skip
# What a browser makes of a name's ending.
TYPES = {
    "mp4": "video/mp4", "m4a": "audio/mp4", "f4v": "video/mp4", "ismv": "video/mp4", "mov": "video/quicktime",
    "3gp": "video/3gpp", "3g2": "video/3gpp2", "webm": "video/webm", "mkv": "video/x-matroska",
    "mka": "audio/x-matroska", "ogg": "audio/ogg", "ogv": "video/ogg", "mp3": "audio/mpeg", "mp2": "audio/mpeg",
    "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "w64": "audio/wav", "au": "audio/basic",
    "aiff": "audio/aiff", "caf": "audio/x-caf", "wv": "audio/x-wavpack", "ts": "video/mp2t", "m2ts": "video/mp2t",
    "mpg": "video/mpeg", "flv": "video/x-flv", "avi": "video/x-msvideo", "wmv": "video/x-ms-asf",
    "ivf": "video/x-ivf", "nut": "video/x-nut", "y4m": "video/x-y4m",
}  # fmt: skip
AUDIO_ALONE = {"audio.mp4": "audio/mp4", "mp3.mp4": "audio/mp4", "audio.webm": "audio/webm", "opus.webm": "audio/webm"}
FRAGMENTED = sorted(name for name in CLIPS if name.startswith("fragments"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return shared_corpus(tmp_path_factory)


def facts_of(content: bytes) -> MediaFacts:
    return read_media_facts(Ranges(content), len(content))


@pytest.mark.parametrize("name", sorted(CLIPS.keys() - IMAGES))
def test_a_file_is_what_ffmpeg_says_it_is(corpus: Corpus, name: str) -> None:
    content = corpus.read(name)
    facts, probed = facts_of(content), probe(content)
    assert (facts.is_media, facts.truncated) == (True, False)
    assert facts.content_type == AUDIO_ALONE.get(name, TYPES[name.rpartition(".")[2]])
    assert file_extension(facts.content_type) != "bin"
    assert facts.has_video in {None, "video" in probed.types}
    assert facts.has_audio in {None, "audio" in probed.types}
    if name in UNTOLD:
        assert facts.duration_seconds is None
        return
    # The tracks of what Cloudflare makes are known.
    assert facts.has_video is not None
    assert probed.seconds is not None
    assert facts.duration_seconds is not None
    assert abs(facts.duration_seconds - probed.seconds) < 0.6
    # The duration that ffprobe shows.
    assert probed.duration is not None
    assert abs(facts.duration_seconds - probed.duration) < 0.6


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_an_image_is_no_recording(corpus: Corpus, name: str) -> None:
    facts = facts_of(corpus.read(name))
    assert (facts.is_media, facts.content_type, facts.duration_seconds) == (False, "application/octet-stream", None)


@pytest.mark.parametrize(
    "name", ["h264-aac.mp4", "faststart.mp4", "vp8-vorbis.webm", "h264-aac.mkv", "quicktime.mov", "hybrid.mp4"]
)
def test_a_file_that_was_cut_never_has_the_duration_of_the_whole(corpus: Corpus, name: str) -> None:
    whole = corpus.read(name)
    for size in range(64, len(whole), max(1, len(whole) // 60)):
        facts = facts_of(whole[:size])
        assert (facts.truncated, facts.duration_seconds) == (True, None), size
        assert facts.is_media, size


@pytest.mark.parametrize("name", [*FRAGMENTED, "smooth.ismv"])
def test_fragments_that_are_cut_count_as_far_as_they_are_whole(corpus: Corpus, name: str) -> None:
    whole = corpus.read(name)
    expected, compared = [], 0
    for size in range(64, len(whole), max(1, len(whole) // 25)):
        facts = facts_of(whole[:size])
        expected.append(facts.duration_seconds or 0)
        try:
            there = probe(whole[:size]).seconds
        except av.FFmpegError:
            # FFmpeg opens nothing that is cut within a header.
            continue
        if facts.duration_seconds is not None and there is not None:
            # FFmpeg takes in the fragment that the cut goes through.
            assert facts.duration_seconds <= max(1, there + 0.6), size
            compared += 1
    assert expected == sorted(expected)
    assert compared > 0


def test_what_ffmpeg_cannot_open_at_all_has_no_length(corpus: Corpus) -> None:
    content = corpus.read("h264-aac.mp4")
    without_header = content[: content.index(b"moov") - 4]
    with pytest.raises(av.FFmpegError):
        probe(without_header)
    facts = facts_of(without_header)
    assert (facts.is_media, facts.truncated, facts.duration_seconds) == (True, True, None)


@pytest.mark.parametrize("flags", FRAGMENT_FLAGS)
def test_a_header_that_counts_the_first_fragment_only_is_not_the_length(corpus: Corpus, flags: str) -> None:
    """The length of the whole, however little of it the movie header counts."""
    content = bytearray(corpus.read(f"fragments-{flags}.mp4"))
    at = content.index(b"mvhd") + 4
    assert content[at] == 0
    scale = int.from_bytes(content[at + 12 : at + 16])
    content[at + 16 : at + 20] = scale.to_bytes(4)
    assert facts_of(bytes(content)).duration_seconds == 3
