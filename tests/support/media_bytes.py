"""Media files built byte by byte, for what no encoder writes."""

import struct
from bisect import bisect_right
from itertools import accumulate

FTYP = struct.pack(">I4s", 24, b"ftyp") + b"isom\0\0\2\0isomiso2"
MDAT = struct.pack(">I4s", 38, b"mdat") + bytes(30)
UNKNOWN_SIZE = b"\x01" + b"\xff" * 7


def box(kind: bytes, content: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


def large_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def full_box(kind: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3) + content)


def timing(kind: bytes, scale: int, length: int, *, version: int = 0, rest: int = 80) -> bytes:
    """`mvhd` or `mdhd`."""
    times = struct.pack(">QQIQ", 0, 0, scale, length) if version else struct.pack(">IIII", 0, 0, scale, length)
    return full_box(kind, times + bytes(rest), version=version)


def mvhd(scale: int = 1000, length: int = 90_000, *, version: int = 0) -> bytes:
    return timing(b"mvhd", scale, length, version=version)


def trak(number: int = 1, handler: bytes = b"vide", *, scale: int = 1000, length: int = 0, edits: bytes = b"") -> bytes:
    tkhd = full_box(b"tkhd", struct.pack(">III", 0, 0, number) + bytes(68))
    hdlr = full_box(b"hdlr", bytes(4) + handler + bytes(13))
    return box(b"trak", tkhd + edits + box(b"mdia", timing(b"mdhd", scale, length, rest=4) + hdlr))


def elst(*entries: tuple[int, int], version: int = 0) -> bytes:
    """An edit list of (duration, media time)."""
    form = ">Qq" if version else ">Ii"
    content = b"".join(struct.pack(form, *entry) + b"\0\1\0\0" for entry in entries)
    return box(b"edts", full_box(b"elst", len(entries).to_bytes(4) + content, version=version))


def mvex(*numbers: int, default: int = 0, mehd: bytes = b"") -> bytes:
    trex = b"".join(full_box(b"trex", struct.pack(">IIIII", number, 1, default, 0, 0)) for number in numbers or (1,))
    return box(b"mvex", mehd + trex)


def mehd(length: int, *, version: int = 0) -> bytes:
    return full_box(b"mehd", struct.pack(">Q" if version else ">I", length), version=version)


def traf(number: int, at: int | None, durations: list[int], *, default: int | None = None, version: int = 1) -> bytes:
    """`durations` of the samples; with `default` that of each, and of `durations` only their number counts."""
    tfhd = full_box(b"tfhd", struct.pack(">I", number), flags=0x020000)
    if default is not None:
        tfhd = full_box(b"tfhd", struct.pack(">II", number, default), flags=0x020008)
    tfdt = b"" if at is None else full_box(b"tfdt", struct.pack(">Q" if version else ">I", at), version=version)
    if default is not None:
        trun = full_box(b"trun", struct.pack(">Ii", len(durations), 0), flags=0x001)
    else:
        # Data offset, then duration and size of each sample.
        samples = b"".join(struct.pack(">II", one, 10) for one in durations)
        trun = full_box(b"trun", struct.pack(">Ii", len(durations), 0) + samples, flags=0x301)
    return box(b"traf", tfhd + tfdt + trun)


def moof(sequence: int, *trafs: bytes) -> bytes:
    return box(b"moof", full_box(b"mfhd", sequence.to_bytes(4)) + b"".join(trafs))


def tfra(number: int, *entries: tuple[int, int]) -> bytes:
    """An index of (time, offset of the fragment)."""
    content = b"".join(struct.pack(">QQBBB", *entry, 1, 1, 1) for entry in entries)
    return full_box(b"tfra", struct.pack(">III", number, 0, len(entries)) + content, version=1)


def mfra(*tables: bytes) -> bytes:
    content = b"".join(tables)
    return box(b"mfra", content + full_box(b"mfro", (24 + len(content)).to_bytes(4)))


def fragmented_movie(length: int = 0, *, total: bytes = b"", default: int = 0, traks: bytes | None = None) -> bytes:
    """A movie in fragments, up to the first of them: video (1) in ms, sound (2) in 1/48000 s. `total` is an `mehd`."""
    two = trak(1) + trak(2, b"soun", scale=48_000)
    return FTYP + box(
        b"moov", mvhd(1000, length) + (two if traks is None else traks) + mvex(1, 2, default=default, mehd=total)
    )


def element(identity: bytes, content: bytes = b"", *, size: bytes | None = None) -> bytes:
    """An EBML element, its size in eight bytes unless given."""
    return identity + (b"\x01" + len(content).to_bytes(7) if size is None else size) + content


def ebml(doc_type: bytes | None = b"webm", *more: bytes) -> bytes:
    named = b"" if doc_type is None else element(b"\x42\x82", doc_type)
    return element(b"\x1a\x45\xdf\xa3", named + b"".join(more))


def info(duration: float | bytes | None, scale: int | bytes | None = 1_000_000) -> bytes:
    """Segment information; a part as bytes is taken as it is."""
    content = b""
    if scale is not None:
        content += element(b"\x2a\xd7\xb1", scale if isinstance(scale, bytes) else scale.to_bytes(8))
    if duration is not None:
        content += element(b"\x44\x89", duration if isinstance(duration, bytes) else struct.pack(">d", duration))
    return element(b"\x15\x49\xa9\x66", content)


def tracks(*types: int) -> bytes:
    """Tracks of these types: 1 video, 2 audio, 17 subtitles."""
    entries = b"".join(element(b"\xae", element(b"\xd7", b"\1") + element(b"\x83", bytes([one]))) for one in types)
    return element(b"\x16\x54\xae\x6b", entries)


def segment(*content: bytes, size: bytes | None = UNKNOWN_SIZE) -> bytes:
    return element(b"\x18\x53\x80\x67", b"".join(content), size=size)


def cluster(*, size: bytes | None = None) -> bytes:
    return element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\0") + element(b"\xa3", bytes(50)), size=size)


class Sparse:
    """A large file of which most is zeros: pieces of bytes, or how many zeros. It counts the reads."""

    def __init__(self, *pieces: bytes | int) -> None:
        self._pieces = pieces
        lengths = [one if isinstance(one, int) else len(one) for one in pieces]
        self._starts = [0, *accumulate(lengths)]
        self.size = self._starts[-1]
        self.reads: list[int] = []

    def __call__(self, first: int, last: int) -> bytes:
        assert 0 <= first <= last < self.size
        self.reads.append(last - first + 1)
        found, at = b"", first
        while at <= last:
            number = bisect_right(self._starts, at) - 1
            piece, skip = self._pieces[number], at - self._starts[number]
            end = min(last + 1, self._starts[number + 1])
            found += bytes(end - at) if isinstance(piece, int) else piece[skip : skip + end - at]
            at = end
        return found
