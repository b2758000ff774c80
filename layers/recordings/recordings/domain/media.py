"""The type of a media file, and which durations are plausible."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Cloudflare records for 24 hours at most (RealtimeKit, recording-guide/stop-recording). One more hour is tolerance.
MAX_DURATION_SECONDS: Final = 25 * 3600
# Cloudflare's duration and that of the file differ by a second or two, because a recording does not begin with a frame.
DURATION_TOLERANCE_SECONDS: Final = 2


class Container(StrEnum):
    """The file formats that are recognized. IMAGE and UNKNOWN are neither audio nor video."""

    MP4 = "mp4"
    M4A = "m4a"
    QUICKTIME = "quicktime"
    THREE_GP = "3gp"
    THREE_G2 = "3g2"
    WEBM = "webm"
    MATROSKA = "matroska"
    OGG = "ogg"
    MPEG_TS = "mpegts"
    MPEG_PS = "mpegps"
    FLV = "flv"
    AVI = "avi"
    ASF = "asf"
    IVF = "ivf"
    MP3 = "mp3"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"
    AIFF = "aiff"
    CAF = "caf"
    AMR = "amr"
    AU = "au"
    WAVPACK = "wavpack"
    NUT = "nut"
    Y4M = "y4m"
    MXF = "mxf"
    REAL_MEDIA = "realmedia"
    IMAGE = "image"
    UNKNOWN = "unknown"


# The media type of a file with video or unknown tracks, and that of a file with audio only. Source:
# https://www.iana.org/assignments/media-types. Matroska has the names in use; RFC 9559 also registers video/matroska.
_CONTENT_TYPES: Final = {
    Container.MP4: ("video/mp4", "audio/mp4"),
    Container.M4A: ("audio/mp4", "audio/mp4"),
    # QuickTime has one type for video and audio.
    Container.QUICKTIME: ("video/quicktime", "video/quicktime"),
    Container.THREE_GP: ("video/3gpp", "audio/3gpp"),
    Container.THREE_G2: ("video/3gpp2", "audio/3gpp2"),
    Container.WEBM: ("video/webm", "audio/webm"),
    Container.MATROSKA: ("video/x-matroska", "audio/x-matroska"),
    Container.OGG: ("video/ogg", "audio/ogg"),
    Container.MPEG_TS: ("video/mp2t", "video/mp2t"),
    Container.MPEG_PS: ("video/mpeg", "video/mpeg"),
    Container.FLV: ("video/x-flv", "video/x-flv"),
    Container.AVI: ("video/x-msvideo", "video/x-msvideo"),
    Container.ASF: ("video/x-ms-asf", "video/x-ms-asf"),
    Container.IVF: ("video/x-ivf", "video/x-ivf"),
    Container.MP3: ("audio/mpeg", "audio/mpeg"),
    Container.AAC: ("audio/aac", "audio/aac"),
    Container.FLAC: ("audio/flac", "audio/flac"),
    Container.WAV: ("audio/wav", "audio/wav"),
    Container.AIFF: ("audio/aiff", "audio/aiff"),
    Container.CAF: ("audio/x-caf", "audio/x-caf"),
    Container.AMR: ("audio/amr", "audio/amr"),
    Container.AU: ("audio/basic", "audio/basic"),
    Container.WAVPACK: ("audio/x-wavpack", "audio/x-wavpack"),
    Container.NUT: ("video/x-nut", "video/x-nut"),
    Container.Y4M: ("video/x-y4m", "video/x-y4m"),
    # RFC 4539 registers it under `application`, which does not say that it is video.
    Container.MXF: ("video/mxf", "video/mxf"),
    Container.REAL_MEDIA: ("video/vnd.rn-realmedia", "audio/vnd.rn-realaudio"),
}
UNKNOWN_CONTENT_TYPE: Final = "application/octet-stream"

EXTENSIONS: Final = {
    "video/mp4": "mp4",
    "audio/mp4": "m4a",
    "video/quicktime": "mov",
    "video/3gpp": "3gp",
    "audio/3gpp": "3gp",
    "video/3gpp2": "3g2",
    "audio/3gpp2": "3g2",
    "video/webm": "webm",
    "audio/webm": "weba",
    "video/x-matroska": "mkv",
    "audio/x-matroska": "mka",
    "video/ogg": "ogv",
    "audio/ogg": "ogg",
    "video/mp2t": "ts",
    "video/mpeg": "mpg",
    "video/x-flv": "flv",
    "video/x-msvideo": "avi",
    "video/x-ms-asf": "asf",
    "video/x-ivf": "ivf",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/aiff": "aiff",
    "audio/x-caf": "caf",
    "audio/amr": "amr",
    "audio/basic": "au",
    "audio/x-wavpack": "wv",
    "video/x-nut": "nut",
    "video/x-y4m": "y4m",
    "video/mxf": "mxf",
    "video/vnd.rn-realmedia": "rm",
    "audio/vnd.rn-realaudio": "ra",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What the bytes of a file say. None: the file does not contain it.

    A `truncated` file ends before its structure does: bytes are missing at its end.
    """

    container: Container
    has_video: bool | None = None
    has_audio: bool | None = None
    duration_seconds: int | None = None
    truncated: bool = False

    @property
    def is_media(self) -> bool:
        """Whether the file is audio or video. If its tracks are unknown, the container decides."""
        return self.container in _CONTENT_TYPES and not (self.has_video is False and self.has_audio is False)

    @property
    def content_type(self) -> str:
        """The media type: `audio/…` for audio only, `application/octet-stream` if it is neither audio nor video."""
        if not self.is_media:
            return UNKNOWN_CONTENT_TYPE
        with_video, audio_alone = _CONTENT_TYPES[self.container]
        return audio_alone if self.has_video is False else with_video


def file_extension(content_type: str) -> str:
    """Return the file name extension for a content type, without a dot; `bin` if it is neither audio nor video."""
    return EXTENSIONS.get(content_type, "bin")


def plausible_duration(seconds: object) -> int | None:
    """Return a duration from a file or from Cloudflare in whole seconds, or None unless 0 < d <= 25 h.

    It may be a number, a number as text, or anything else. A duration under half a second is 1, because 0 would mean
    unknown.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | str):
        return None
    try:
        given = seconds if isinstance(seconds, int) else float(seconds)
    except ValueError:
        return None
    # Compare before rounding, because infinity and NaN cannot be rounded.
    if math.isnan(given) or not 0 < given <= MAX_DURATION_SECONDS:
        return None
    return max(1, round(given))


def recording_duration(announced: int | None, measured: int | None, *, partial: bool) -> int | None:
    """Return the duration to store, in whole seconds, from Cloudflare's (`announced`) and the file's (`measured`).

    Cloudflare's counts if both agree within DURATION_TOLERANCE_SECONDS. Otherwise the file's counts, because it is what
    players show. A partial file without a duration has none, because Cloudflare's is that of the complete recording.
    """
    announced, measured = plausible_duration(announced), plausible_duration(measured)
    if measured is None:
        return None if partial else announced
    if announced is not None and abs(announced - measured) <= DURATION_TOLERANCE_SECONDS:
        return announced
    return measured
