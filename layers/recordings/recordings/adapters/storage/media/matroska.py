"""Facts of a Matroska or WebM file (RFC 9559; EBML: RFC 8794)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recordings.adapters.storage.media.ranges import LimitReached, RangedFile
from recordings.domain.media import Container, MediaFacts, plausible_duration

EBML: Final = 0x1A45DFA3
DOC_TYPE: Final = 0x4282
SEGMENT: Final = 0x18538067
SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
INFO, DURATION, TIMESTAMP_SCALE = 0x1549A966, 0x4489, 0x2AD7B1
TRACKS, TRACK_ENTRY, TRACK_TYPE = 0x1654AE6B, 0xAE, 0x83
CLUSTER: Final = 0x1F43B675
VIDEO, AUDIO = 1, 2
# Nanoseconds of one unit of time if the file has none (RFC 9559, 5.1.2.9).
DEFAULT_SCALE: Final = 1_000_000
MAX_TEXT: Final = 64


@dataclass(frozen=True, slots=True)
class Element:
    """The offsets of an element's content. With an `end` of None the element extends to the end of its parent."""

    id: int
    content: int
    end: int | None


@dataclass(slots=True)
class Segment:
    """What the elements read so far contain."""

    types: set[int] | None = None
    seconds: float | None = None
    truncated: bool = False


def matroska_facts(file: RangedFile) -> MediaFacts:
    """Read what the file says about itself."""
    segment, container = Segment(), Container.UNKNOWN
    try:
        header = next(_elements(file, 0, file.size), None)
        if header is not None and header.end is not None:
            for element in _elements(file, header.end, file.size):
                if element.id == SEGMENT:
                    container = _container(file, header)
                    _read_segment(file, element, segment)
                    break
    except LimitReached:
        # The facts read so far count.
        pass
    types = segment.types
    return MediaFacts(
        container=container,
        has_video=None if types is None else VIDEO in types,
        has_audio=None if types is None else AUDIO in types,
        # The header of a file that was cut off includes what is missing.
        duration_seconds=None if segment.truncated else plausible_duration(segment.seconds),
        truncated=segment.truncated,
    )


def _container(file: RangedFile, header: Element) -> Container:
    """Identify the container by the DocType. Players treat a missing one as Matroska. Others are no Matroska."""
    for element in _elements(file, header.content, header.end or 0):
        if element.id == DOC_TYPE:
            text = _bytes_of(file, element, MAX_TEXT).rstrip(b"\0")
            return {b"webm": Container.WEBM, b"matroska": Container.MATROSKA}.get(text, Container.UNKNOWN)
    return Container.MATROSKA


def _read_segment(file: RangedFile, segment: Element, facts: Segment) -> None:
    end = file.size if segment.end is None else min(segment.end, file.size)
    facts.truncated = segment.end is not None and segment.end > file.size
    wanted = {INFO, TRACKS}
    places: dict[int, int] = {}
    for element in _elements(file, segment.content, end):
        if element.id == SEEK_HEAD:
            places |= _seek_places(file, element, segment.content)
        elif element.id in wanted:
            wanted.discard(element.id)
            _read_header(file, element, facts)
        if element.id == CLUSTER or element.end is None or not wanted:
            break
    # A header after the media is where the index says.
    for kind in wanted & places.keys():
        found = next(_elements(file, places[kind], end), None)
        if found is not None and found.id == kind:
            _read_header(file, found, facts)


def _read_header(file: RangedFile, element: Element, facts: Segment) -> None:
    end = file.size if element.end is None else element.end
    if element.id == INFO:
        facts.seconds = _info_seconds(file, element.content, end)
        return
    facts.types = set()
    for entry in _elements(file, element.content, end):
        if entry.id == TRACK_ENTRY:
            for field in _elements(file, entry.content, entry.end or end):
                if field.id == TRACK_TYPE:
                    facts.types.add(int.from_bytes(_bytes_of(file, field, 8)))


def _seek_places(file: RangedFile, head: Element, base: int) -> dict[int, int]:
    """Return the offsets of elements of the segment by their ids (RFC 9559, 5.1.1)."""
    places: dict[int, int] = {}
    for seek in _elements(file, head.content, head.end or head.content):
        if seek.id == SEEK:
            fields = {
                field.id: _bytes_of(file, field, 8) for field in _elements(file, seek.content, seek.end or seek.content)
            }
            places[int.from_bytes(fields.get(SEEK_ID, b""))] = base + int.from_bytes(fields.get(SEEK_POSITION, b""))
    return places


def _info_seconds(file: RangedFile, start: int, end: int) -> float | None:
    """Return the duration in seconds. The file has a float in units of TimestampScale (RFC 9559, 5.1.2)."""
    scale, length = DEFAULT_SCALE, None
    for element in _elements(file, start, end):
        if element.id == TIMESTAMP_SCALE:
            value = _bytes_of(file, element, 8)
            # An empty element has its default value (RFC 8794, 11.1.19).
            scale = int.from_bytes(value) if value else DEFAULT_SCALE
        elif element.id == DURATION:
            value = _bytes_of(file, element, 9)
            length = struct.unpack(">f" if len(value) == 4 else ">d", value)[0] if len(value) in {4, 8} else None
    return length * scale / 1e9 if length is not None else None


def _elements(file: RangedFile, offset: int, end: int) -> Iterator[Element]:
    """Yield the elements from an offset on, one level deep, up to the end of the file. Raises LimitReached."""
    end = min(end, file.size)
    while offset < end:
        file.step()
        head = file.at(offset, 16)
        identity, length_at = _vint(head, 0, keep_marker=True)
        length, content_at = _vint(head, length_at, keep_marker=False)
        if identity is None or length is None:
            return
        content = offset + content_at
        if length < 0:
            yield Element(identity, content, None)
            return
        yield Element(identity, content, content + length)
        offset = content + length


def _bytes_of(file: RangedFile, element: Element, limit: int) -> bytes:
    """Return at most `limit` bytes of an element's content."""
    return file.at(element.content, limit if element.end is None else min(element.end - element.content, limit))


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """Return a number of variable length and its end. All ones is -1 (unknown), an invalid number None.

    Source: RFC 8794, 4. An id keeps its length marker.
    """
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
