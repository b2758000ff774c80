"""Length and kind of a film, by its own bytes, which may be anybody's."""

import struct
from pathlib import Path
from subprocess import run

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.adapters.media import read_media_facts
from recordings.adapters.media.ranges import MAX_READ_BYTES, MAX_READS
from recordings.domain.media import MediaFacts


class Bytes:
    """A file that is read in ranges, as our storage is, and counts the reads."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.reads: list[int] = []

    def __call__(self, first: int, last: int) -> bytes:
        assert 0 <= first <= last < len(self.content), "a range that cannot be satisfied"
        self.reads.append(last - first + 1)
        assert len(self.reads) < 10_000, "it never ends"
        return self.content[first : last + 1]


def facts_of(content: bytes) -> MediaFacts:
    return read_media_facts(Bytes(content), len(content))


def seconds_of(content: bytes) -> int | None:
    return facts_of(content).duration_seconds


def box(kind: bytes, content: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


def large_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def mvhd(scale: int = 1000, length: int = 90_000, *, version: int = 0) -> bytes:
    times = struct.pack(">QQIQ", 0, 0, scale, length) if version else struct.pack(">IIII", 0, 0, scale, length)
    return box(b"mvhd", bytes([version, 0, 0, 0]) + times + bytes(80))


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2")


@pytest.fixture(scope="module", params=["moov first", "moov last", "in fragments"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    flags = {"moov first": ["-movflags", "+faststart"], "moov last": []}
    flags["in fragments"] = ["-movflags", "+frag_keyframe+empty_moov", "-g", "5"]
    path: Path = tmp_path_factory.mktemp("film") / "film.mp4"
    source = ["-f", "lavfi", "-i", "color=size=64x64:rate=5:duration=3"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *source, *flags[request.param], str(path)]
    run(command, check=True, timeout=60)
    content = path.read_bytes()
    # With an empty moov the header tells no length.
    return content + (b"" if request.param != "in fragments" else box(b"free"))


def test_a_real_film_tells_its_kind_and_length(film: bytes) -> None:
    assert facts_of(film).content_type == "video/mp4"
    assert seconds_of(film) == 3


def test_a_real_film_is_not_read_whole(film: bytes) -> None:
    file = Bytes(film)
    read_media_facts(file, len(film))
    assert sum(file.reads) <= MAX_READ_BYTES
    assert len(file.reads) <= 3


def test_a_real_film_cut_anywhere_never_breaks_the_reader(film: bytes) -> None:
    for size in range(0, len(film), 7):
        assert seconds_of(film[:size]) in {None, 1, 2, 3}


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("scale", "length", "seconds"), [(1000, 90_400, 90), (1, 7, 7), (600, 0, None), (90_000, 1, 1)]
)
def test_a_length_is_told_in_whole_seconds(version: int, scale: int, length: int, seconds: int | None) -> None:
    film = FTYP + box(b"moov", mvhd(scale, length, version=version))
    assert seconds_of(film) == seconds


def test_a_film_of_days_needs_the_wide_header() -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd(90_000, 90_000 * 86_400, version=1))) == 86_400


def test_other_boxes_are_skipped_whatever_way_they_tell_their_length() -> None:
    moov = box(b"moov", box(b"udta", b"x" * 99) + mvhd())
    assert seconds_of(FTYP + box(b"free") + large_box(b"mdat", b"y" * 1000) + moov) == 90
    assert seconds_of(FTYP + large_box(b"moov", mvhd())) == 90
    # Zero: to the end of the file.
    assert seconds_of(FTYP + box(b"moov", mvhd(), length=0)) == 90
    assert seconds_of(FTYP + box(b"mdat", b"z" * 50, length=0)) is None


@pytest.mark.parametrize(("version", "length"), [(0, 2**32 - 1), (1, 2**64 - 1)])
def test_a_length_of_all_ones_is_unknown(version: int, length: int) -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd(1000, length, version=version))) is None


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (bytes(4) + struct.pack(">I", 42_000), 42),
        (bytes([1, 0, 0, 0]) + struct.pack(">Q", 43_000), 43),
        (bytes(4), None),
        (bytes([1, 0, 0, 0]) + bytes(4), None),
    ],
)
def test_a_film_in_fragments_tells_its_length_apart(content: bytes, seconds: int | None) -> None:
    moov = box(b"moov", mvhd(1000, 0) + box(b"mvex", box(b"mehd", content)))
    assert seconds_of(FTYP + moov) == seconds


def test_a_scale_of_zero_tells_nothing() -> None:
    assert seconds_of(FTYP + box(b"moov", mvhd(0, 5))) is None


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
        box(b"free", length=7) + box(b"moov", mvhd()),
        box(b"free", length=2) + box(b"moov", mvhd()),
        struct.pack(">I4sQ", 1, b"free", 0) + box(b"moov", mvhd()),
        struct.pack(">I4sQ", 1, b"free", 15) + box(b"moov", mvhd()),
        struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + box(b"moov", mvhd()),
        struct.pack(">I4s", 1, b"moov"),
        box(b"free", length=2**32 - 1) + box(b"moov", mvhd()),
        FTYP + box(b"moov", b"", length=2**32 - 1),
    ],
)
def test_a_broken_or_hostile_file_tells_nothing(content: bytes) -> None:
    assert seconds_of(content) is None


def test_a_film_cut_off_anywhere_does_not_tell_the_length_of_the_whole() -> None:
    whole = FTYP + box(b"moov", mvhd() + box(b"trak", bytes(100))) + box(b"mdat", bytes(1000))
    assert facts_of(whole).truncated is False
    for size in (len(whole) - 1, len(whole) - 1000, len(whole) - 1050):
        facts = facts_of(whole[:size])
        assert (facts.is_media, facts.truncated, facts.duration_seconds) == (True, True, None)


def test_a_header_that_claims_more_than_the_file_holds_is_not_read_beyond_the_end() -> None:
    content = FTYP + box(b"moov", struct.pack(">I4s", 2**31, b"mvhd") + bytes(10), length=2**31)
    assert seconds_of(content) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_an_end(content: bytes) -> None:
    assert seconds_of(content) is None or content


@given(st.lists(st.sampled_from([FTYP, box(b"moov", mvhd()), box(b"free"), b"\0\0\0\1mdat", b"\0", b"\xff\xff"])))
def test_any_row_of_boxes_is_read_to_an_end(boxes: list[bytes]) -> None:
    assert seconds_of(b"".join(boxes)) in {None, 90}


def webm(path: Path, seconds: int) -> bytes:
    run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "lavfi", "-i",
         f"testsrc=size=64x64:rate=5:duration={seconds}", "-c:v", "libvpx", str(path)],
        check=True, timeout=60,
    )  # fmt: skip
    return path.read_bytes()


def test_a_webm_says_how_long_it_lasts(tmp_path: Path) -> None:
    content = webm(tmp_path / "a.webm", 3)
    assert facts_of(content).content_type == "video/webm"
    assert seconds_of(content) == 3


@pytest.mark.parametrize("length", [4, 5, 12, 40, 60, 100, 150, 200])
def test_a_webm_that_is_cut_off_says_what_it_can(tmp_path: Path, length: int) -> None:
    content = webm(tmp_path / "a.webm", 1)[:length]
    assert seconds_of(content) in (None, 1)


def test_a_file_in_thousands_of_boxes_is_given_up() -> None:
    file = Bytes(FTYP + (box(b"free", bytes(100_000))) * 200)
    assert read_media_facts(file, len(file.content)).duration_seconds is None
    assert len(file.reads) == MAX_READS
