"""Audio and video formats that their first bytes identify, and the duration of an MP3."""

import struct
from collections.abc import Callable
from typing import Final

from recordings.adapters.storage.media.ranges import RangedFile
from recordings.domain.media import Container, MediaFacts, plausible_duration

HEAD_BYTES: Final = 4096
# Offset, bytes, container, and whether the file has video and audio (None: its tracks are not read).
SIGNATURES: Final[tuple[tuple[int, bytes, Container, bool | None, bool | None], ...]] = (
    (0, b"FLV\x01", Container.FLV, None, None),
    (0, b"fLaC", Container.FLAC, False, True),
    (0, b"DKIF", Container.IVF, True, False),
    (0, b"#!AMR", Container.AMR, False, True),
    (0, b"caff", Container.CAF, False, True),
    (0, b"\0\0\x01\xba", Container.MPEG_PS, None, None),
    (0, b"\0\0\x01\xb3", Container.MPEG_PS, True, False),
    (0, b"nut/multimedia container\0", Container.NUT, None, None),
    (0, b"YUV4MPEG2 ", Container.Y4M, True, False),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", Container.MXF, None, None),
    (0, b".RMF", Container.REAL_MEDIA, None, None),
    (0, b".snd\0\0\0", Container.AU, False, True),
    (0, b"wvpk", Container.WAVPACK, False, True),
    (0, b"riff\x2e\x91\xcf\x11", Container.WAV, False, True),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container.ASF, None, None),
    (8, b"AVI ", Container.AVI, None, None),
    (8, b"WAVE", Container.WAV, False, True),
    (8, b"AIFF", Container.AIFF, False, True),
    (8, b"AIFC", Container.AIFF, False, True),
    (8, b"WEBP", Container.IMAGE, None, None),
    (0, b"\x89PNG\r\n\x1a\n", Container.IMAGE, None, None),
    (0, b"\xff\xd8\xff", Container.IMAGE, None, None),
    (0, b"GIF8", Container.IMAGE, None, None),
    (4, b"jP  ", Container.IMAGE, None, None),
    (4, b"JXL ", Container.IMAGE, None, None),
)
# The first four bytes of files with a signature at offset 8.
CHUNKED: Final = frozenset({b"RIFF", b"RF64", b"RIFX", b"FORM"})
# Ogg: how the first packet of a stream begins, and whether it is video. Source: https://wiki.xiph.org/MIMETypesCodecs
OGG_CODECS: Final = (
    (b"\x80theora", True),
    (b"BBCD\0", True),
    (b"OVP80", True),
    (b"OpusHead", False),
    (b"\x01vorbis", False),
    (b"\x7fFLAC", False),
    (b"Speex   ", False),
)
# Offset of the first packet of a transport stream and length of a packet: 188 bytes, or 192 with a preceding time.
TS_PACKETS: Final = ((0, 188), (4, 192))
TS_PACKETS_CHECKED: Final = 5
# How many bytes an encoder may count too many: its own tag, and a frame or two.
MAX_TAG_ERROR: Final = 4096
# MPEG audio: samples per second of MPEG-1 by rate index, and kbit/s by bitrate index for (MPEG-1 or not, layer)
# (ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3).
RATES: Final = (44_100, 48_000, 32_000)
BITRATES: Final = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def signature_facts(file: RangedFile) -> MediaFacts:
    """Identify a file by its first bytes. It takes at most five reads."""
    head = file.at(0, HEAD_BYTES)
    for offset, signature, container, video, audio in SIGNATURES:
        if head.startswith(signature, offset) and (offset != 8 or head[:4] in CHUNKED):
            return MediaFacts(container=container, has_video=video, has_audio=audio)
    if head[:4] == b"OggS":
        return _ogg(head)
    if _is_transport_stream(head):
        return MediaFacts(container=Container.MPEG_TS)
    return _bare_audio(file, head)


def _ogg(head: bytes) -> MediaFacts:
    """Identify the streams by their first packets, which come before all others (RFC 3533, section 4)."""
    found = {video for codec, video in OGG_CODECS if codec in head}
    if not found:
        return MediaFacts(container=Container.OGG)
    return MediaFacts(container=Container.OGG, has_video=True in found, has_audio=False in found)


def _is_transport_stream(head: bytes) -> bool:
    """Whether at least two packets begin with the byte 0x47 (ISO/IEC 13818-1, 2.4.3.2)."""
    for first, length in TS_PACKETS:
        syncs = head[first::length][:TS_PACKETS_CHECKED]
        if len(syncs) > 1 and set(syncs) == {0x47}:
            return True
    return False


def _bare_audio(file: RangedFile, head: bytes) -> MediaFacts:
    """Identify MP3, AAC or FLAC, which may follow an ID3 tag (id3.org/id3v2.4.0-structure, 3.1)."""
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10 and not any(byte & 0x80 for byte in head[6:10]):
        start = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        # A footer repeats the header.
        start += 10 if head[5] & 0x10 else 0
    if file.at(start, 4) == b"fLaC":
        container = Container.FLAC
    elif _has_two_frames(file, start, _aac_frame, same=0xFC):
        container = Container.AAC
    elif _has_two_frames(file, start, _mpeg_frame, same=0x0C):
        return _mp3(file, start)
    else:
        return MediaFacts(container=Container.UNKNOWN)
    return MediaFacts(container=container, has_video=False, has_audio=True)


def _has_two_frames(file: RangedFile, start: int, frame_length: Callable[[bytes], int | None], *, same: int) -> bool:
    """Whether two frames of one kind follow each other at `start`. One sync word alone may be a coincidence.

    `same` has the bits of the third byte that all frames share: the sampling rate, and for AAC the profile.
    """
    first = file.at(start, 6)
    length = frame_length(first)
    if length is None:
        return False
    second = file.at(start + length, 6)
    return frame_length(second) is not None and second[1] == first[1] and (second[2] ^ first[2]) & same == 0


def _aac_frame(head: bytes) -> int | None:
    """Return the length of an ADTS frame with this head (ISO/IEC 14496-3, 1.A.2.2), or None."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 0xF > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else None


def _mp3(file: RangedFile, start: int) -> MediaFacts:
    """Read the duration from the first frame, where Xing and LAME write a tag (layer III alone)."""
    first = file.at(start, 4)
    version, mono = first[1] >> 3 & 3, first[3] >> 6 == 3
    # The tag follows the side information, whose length depends on the version and the channels.
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    tag = file.at(start + 4 + side, 16)
    seconds, truncated = None, False
    if tag[:4] in {b"Xing", b"Info"} and len(tag) == 16:
        flags, frames, length = struct.unpack(">III", tag[4:])
        if flags & 3 == 3:
            truncated = start + length > file.size + MAX_TAG_ERROR
            seconds = frames * (1152 if version == 3 else 576) / _hertz(first)
    return MediaFacts(
        container=Container.MP3,
        has_video=False,
        has_audio=True,
        duration_seconds=None if truncated else plausible_duration(seconds),
        truncated=truncated,
    )


def _hertz(head: bytes) -> int:
    """Return the samples per second of an MPEG audio frame. MPEG-2 has half the rates of MPEG-1, MPEG-2.5 a quarter."""
    return RATES[head[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}[head[1] >> 3 & 3]


def _mpeg_frame(head: bytes) -> int | None:
    """Return the length of an MPEG audio frame with this head, or None."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer, bitrate, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in {0, 15} or rate == 3:
        return None
    first_version, hertz = version == 3, _hertz(head)
    bits = BITRATES[first_version, layer][bitrate] * 1000
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (144 if first_version or layer == 2 else 72) * bits // hertz + padding
