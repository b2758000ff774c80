"""Real media files, made by ffmpeg when a test first asks for one, and what FFmpeg's libraries say about a file."""

import fcntl
import io
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from recordings.adapters.storage.media.ranges import MAX_READ_BYTES, MAX_READS

PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=10:duration=3")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=3")
# A key frame every half second, so that a fragment begins there.
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "5", "-pix_fmt", "yuv420p")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "5")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")


def copied(source: str, *options: str, seek: Sequence[str] = ()) -> tuple[str, ...]:
    """Another file of the corpus in another container."""
    return (*seek, "-i", f"{{{source}}}", "-c", "copy", *options)


def fragmented(flags: str, *options: str) -> tuple[str, ...]:
    return copied("h264-aac.mp4", "-movflags", flags, *options)


# Every way of -movflags to lay out fragments.
FRAGMENT_FLAGS = (
    "frag_keyframe",
    "frag_keyframe+empty_moov",
    "frag_keyframe+empty_moov+default_base_moof",
    "frag_keyframe+separate_moof",
    "frag_keyframe+empty_moov+separate_moof",
    "frag_keyframe+delay_moov",
    "frag_keyframe+omit_tfhd_offset",
    "frag_keyframe+skip_trailer",
    "frag_keyframe+empty_moov+skip_trailer",
    "frag_keyframe+skip_sidx",
    "frag_keyframe+negative_cts_offsets",
    "frag_discont+frag_keyframe+empty_moov",
    "frag_every_frame",
    "frag_every_frame+empty_moov",
    "empty_moov",
    "dash",
    "dash+global_sidx",
    "dash+frag_keyframe",
    "cmaf",
    "cmaf+frag_keyframe",
)

# Name → arguments of ffmpeg; {name} is another file of these.
CLIPS: dict[str, tuple[str, ...]] = {
    "h264-aac.mp4": (*PICTURE, *SOUND, *H264, "-c:a", "aac", "-b:a", "32k"),
    "vp8-vorbis.webm": (*PICTURE, *SOUND, *VP8, "-c:a", "libvorbis"),
    "vp9-opus.webm": (*PICTURE, *SOUND, *VP9, "-c:a", "libopus"),
    "av1.mp4": (*PICTURE, "-c:v", "libsvtav1", "-preset", "12"),
    "hevc.mp4": (*PICTURE, "-c:v", "libx265", "-preset", "ultrafast"),
    "opus.webm": (*SOUND, "-c:a", "libopus"),
    "mp3.mp3": (*SOUND, "-c:a", "libmp3lame"),
    "bare.mp3": copied("mp3.mp3", "-write_xing", "0", "-id3v2_version", "0"),
    **{f"fragments-{flags}.mp4": fragmented(flags) for flags in FRAGMENT_FLAGS},
    "fragments-by-duration.mp4": copied("h264-aac.mp4", "-frag_duration", "500000"),
    "fragments-by-size.mp4": copied("h264-aac.mp4", "-frag_size", "3000", "-min_frag_duration", "500000"),
    # Fragments as long as it is written, a plain file once it is complete.
    "hybrid.mp4": fragmented("hybrid_fragmented"),
    "fragments-late.mp4": fragmented("frag_keyframe+empty_moov", "-output_ts_offset", "3600"),
    "fragments.mov": copied("h264-aac.mp4", "-movflags", "frag_keyframe+empty_moov"),
    "fragments.m4a": copied("h264-aac.mp4", "-vn", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"),
    "smooth.ismv": copied("h264-aac.mp4"),
    "faststart.mp4": copied("h264-aac.mp4", "-movflags", "faststart"),
    "cut-in.mp4": copied("h264-aac.mp4", seek=("-ss", "1.3")),
    "delayed.mp4": copied("h264-aac.mp4", "-output_ts_offset", "3600"),
    "no-edit-list.mp4": copied("h264-aac.mp4", "-use_editlist", "0"),
    "video.mp4": copied("h264-aac.mp4", "-an"),
    "audio.mp4": copied("h264-aac.mp4", "-vn"),
    "audio.m4a": copied("h264-aac.mp4", "-vn"),
    "mp3.mp4": copied("mp3.mp3"),
    "vp9.mp4": copied("vp9-opus.webm"),
    "f4v.f4v": copied("h264-aac.mp4", "-f", "f4v"),
    "quicktime.mov": copied("h264-aac.mp4"),
    "phone.3gp": copied("h264-aac.mp4", "-f", "3gp"),
    "phone.3g2": copied("h264-aac.mp4", "-f", "3g2"),
    "h264-aac.mkv": copied("h264-aac.mp4"),
    "audio.mka": copied("h264-aac.mp4", "-vn"),
    "mp3.mka": copied("mp3.mp3"),
    "cues-first.mkv": copied("h264-aac.mp4", "-reserve_index_space", "50000", "-cues_to_front", "1"),
    "live.mkv": copied("h264-aac.mp4", "-live", "1"),
    "live.webm": copied("vp8-vorbis.webm", "-live", "1"),
    "audio.webm": copied("vp9-opus.webm", "-vn"),
    "opus.ogg": copied("opus.webm"),
    "flac.ogg": (*SOUND, "-c:a", "flac"),
    "theora.ogv": (*PICTURE, "-c:v", "libtheora"),
    "flac.flac": SOUND,
    "aac.aac": copied("h264-aac.mp4", "-vn"),
    "mp2.mp2": (*SOUND, "-c:a", "mp2"),
    "wave.wav": SOUND,
    "wave.w64": SOUND,
    "wave.au": SOUND,
    "wave.aiff": SOUND,
    "wave.caf": SOUND,
    "wavpack.wv": SOUND,
    "stream.ts": copied("h264-aac.mp4"),
    "stream.m2ts": copied("h264-aac.mp4"),
    "program.mpg": (*PICTURE, "-c:v", "mpeg2video", "-r", "25"),
    "flash.flv": copied("h264-aac.mp4"),
    "old.avi": copied("h264-aac.mp4"),
    "windows.wmv": (*PICTURE, "-c:v", "wmv2"),
    "vp8.ivf": copied("vp8-vorbis.webm", "-an"),
    "nut.nut": copied("h264-aac.mp4"),
    "raw.y4m": (*PICTURE, "-pix_fmt", "yuv420p"),
    "picture.png": (*PICTURE, "-frames:v", "1"),
    "picture.jpg": (*PICTURE, "-frames:v", "1"),
    "picture.gif": PICTURE,
    "picture.webp": (*PICTURE, "-frames:v", "1", "-c:v", "libwebp"),
    "picture.avif": (*PICTURE, "-frames:v", "1", "-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8"),
}


@dataclass(frozen=True)
class Corpus:
    """The clips, each made once in `folder` for all processes that share it."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a clip is; it and what it is made of are made if need be."""
        path = self.folder / name
        if path.exists():
            return path
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                self._make(name, path)
        return path

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def _make(self, name: str, path: Path) -> None:
        arguments = [str(self.path(one[1:-1])) if one[0] == "{" else one for one in CLIPS[name]]
        making = path.with_name(f"making-{name}")
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-y",
            "-loglevel",
            "error",
            "-threads",
            "1",
            *arguments,
            str(making),
        ]
        subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
        making.rename(path)


def shared_corpus(factory: pytest.TempPathFactory) -> Corpus:
    """The corpus of a test run: one folder for all its workers."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "media-corpus"
    folder.mkdir(exist_ok=True)
    return Corpus(folder)


@dataclass(frozen=True)
class Probed:
    """What FFmpeg finds in a file: as ffprobe shows it, and from the first packet's time to the last one's end."""

    format: str
    types: frozenset[str]
    duration: float | None
    seconds: float | None


def probe(content: bytes) -> Probed:
    """Ask FFmpeg's libraries. Raises av.FFmpegError."""
    with av.open(io.BytesIO(content), "r") as container:
        begin, end = float("inf"), float("-inf")
        for packet in container.demux():
            if packet.dts is not None and packet.time_base is not None:
                at = packet.dts if packet.pts is None else packet.pts
                begin = min(begin, float(at * packet.time_base))
                end = max(end, float((at + (packet.duration or 0)) * packet.time_base))
        return Probed(
            format=container.format.name,
            types=frozenset(stream.type for stream in container.streams),
            duration=container.duration / 1_000_000 if container.duration else None,
            seconds=end - begin if end > begin else None,
        )


class Ranges:
    """A file that is read in ranges, as our storage is. It counts, and refuses what storage would."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.reads: list[int] = []

    def __call__(self, first: int, last: int) -> bytes:
        assert 0 <= first <= last < len(self.content), "a range that cannot be satisfied"
        self.reads.append(last - first + 1)
        assert len(self.reads) <= MAX_READS
        assert sum(self.reads) <= MAX_READ_BYTES
        return self.content[first : last + 1]
