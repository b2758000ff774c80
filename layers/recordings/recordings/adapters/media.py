"""Facts read from a media file itself: its content type and its length, by a few ranged reads of its header."""

import math
import struct
from collections.abc import Callable
from typing import Final

# Where a WebM keeps its Info; further on it is not looked for.
HEAD: Final = 64 * 1024
# Each box costs a request: a file in thousands of fragments, or made to mislead, is given up.
MOST_BOXES: Final = 64
SEGMENT, INFO, DURATION, TIMESTAMP_SCALE = 0x18538067, 0x1549A966, 0x4489, 0x2AD7B1

type Read = Callable[[int, int], bytes]


def content_type_of(head: bytes) -> str:
    """The media type that the first 16 bytes tell: ISO/IEC 14496-12 `ftyp`, the EBML magic of WebM."""
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm"
    return "application/octet-stream"


def duration_of(read: Read, size: int) -> int | None:
    """Whole seconds that an MP4 or a WebM says it lasts; None when it does not say."""
    match content_type_of(read(0, min(size, 16) - 1) if size else b""):
        case "video/mp4":
            return _mp4_seconds(read, size)
        case "video/webm":
            return _webm_seconds(read(0, min(size, HEAD) - 1))
        case _:
            return None


def _mp4_seconds(read: Read, size: int) -> int | None:
    """By `moov/mvhd` (ISO/IEC 14496-12, 8.2.2)."""
    moov = _box(read, 0, size, b"moov")
    if moov is None:
        return None
    mvhd = _box(read, moov[0], moov[1], b"mvhd")
    if mvhd is None or mvhd[1] - mvhd[0] < 32:
        return None
    body = read(mvhd[0], mvhd[0] + 31)
    wide = body[0] == 1
    scale, length = struct.unpack(">IQ", body[20:32]) if wide else struct.unpack(">II", body[12:20])
    if length == (2**64 if wide else 2**32) - 1:
        # All ones: the length cannot be determined.
        return None
    mvex = _box(read, moov[0], moov[1], b"mvex") if length == 0 else None
    if mvex is not None:
        # The header of a file in fragments counts what stands before the first of them, which is nothing.
        length = _fragments_length(read, mvex)
    return round(length / scale) if scale and length is not None else None


def _fragments_length(read: Read, mvex: tuple[int, int]) -> int | None:
    """The length that a file in fragments tells apart, in `mehd` (ISO/IEC 14496-12, 8.8.2); None without one."""
    mehd = _box(read, mvex[0], mvex[1], b"mehd")
    if mehd is None or mehd[1] - mehd[0] < 8:
        return None
    body = read(mehd[0], min(mehd[0] + 12, mehd[1]) - 1)
    wide = body[0] == 1
    if wide and len(body) < 12:
        return None
    return int.from_bytes(body[4:12] if wide else body[4:8])


def _webm_seconds(head: bytes) -> int | None:
    """By `Segment/Info/Duration`, a float in units of TimestampScale nanoseconds (RFC 9559, 5.1.2)."""
    segment = _element(head, 0, len(head), SEGMENT)
    info = _element(head, *segment, INFO) if segment else None
    duration = _element(head, *info, DURATION) if info else None
    if info is None or duration is None or duration[1] - duration[0] not in (4, 8):
        return None
    scale = _element(head, *info, TIMESTAMP_SCALE)
    nanoseconds = int.from_bytes(head[slice(*scale)]) if scale else 1_000_000
    (length,) = struct.unpack(">f" if duration[1] - duration[0] == 4 else ">d", head[slice(*duration)])
    seconds = length * nanoseconds / 1e9
    return round(seconds) if math.isfinite(seconds) and seconds >= 0 else None


def _element(data: bytes, at: int, end: int, kind: int) -> tuple[int, int] | None:
    """Where the content of the first EBML element of a kind begins and ends (RFC 8794, 6)."""
    while at < end:
        identity, at = _vint(data, at, keep_marker=True)
        length, at = _vint(data, at, keep_marker=False)
        if identity is None or length is None:
            return None
        # A length of all ones is not known: it goes on to the end.
        until = end if length < 0 else min(at + length, end)
        if identity == kind:
            return at, until
        at = until
    return None


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """A number of variable length and where it ends; -1 when it is all ones, None when the data end before it does."""
    if at >= len(data) or not data[at]:
        return None, len(data)
    width = 9 - data[at].bit_length()
    raw = data[at : at + width]
    if len(raw) < width:
        return None, len(data)
    value = int.from_bytes(raw)
    if keep_marker:
        return value, at + width
    value &= (1 << 7 * width) - 1
    return (-1 if value == (1 << 7 * width) - 1 else value), at + width


def _box(read: Read, at: int, end: int, kind: bytes) -> tuple[int, int] | None:
    """Where the content of the first box of a kind begins and ends."""
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return None
        head = read(at, min(at + 15, end - 1))
        length, header = int.from_bytes(head[:4]), 8
        if length == 1 and len(head) == 16:
            length, header = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = end - at
        if length < header:
            return None
        if head[4:8] == kind:
            return at + header, min(at + length, end)
        at += length
    return None
