"""Facts read from a media file itself: the length of an MP4, the content type of its first bytes."""

import struct
from collections.abc import Callable

type Read = Callable[[int, int], bytes]


def content_type_of(head: bytes) -> str:
    """The media type that the first 16 bytes tell: ISO/IEC 14496-12 `ftyp`, the EBML magic of WebM."""
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm"
    return "application/octet-stream"


def duration_of(read: Read, size: int) -> int | None:
    """Whole seconds of an MP4 by `moov/mvhd` (ISO/IEC 14496-12, 8.2.2), read in a few ranges; None when not told."""
    moov = _box(read, 0, size, b"moov")
    if moov is None:
        return None
    mvhd = _box(read, moov[0], moov[1], b"mvhd")
    if mvhd is None or mvhd[1] - mvhd[0] < 32:
        return None
    body = read(mvhd[0], mvhd[0] + 31)
    scale, length = struct.unpack(">IQ", body[20:32]) if body[0] == 1 else struct.unpack(">II", body[12:20])
    return round(length / scale) if scale else None


def _box(read: Read, at: int, end: int, kind: bytes) -> tuple[int, int] | None:
    """Where the content of the first box of a kind begins and ends."""
    while at + 8 <= end:
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
