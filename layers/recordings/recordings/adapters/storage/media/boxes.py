"""The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from recordings.adapters.storage.media.ranges import RangedFile


@dataclass(frozen=True, slots=True)
class Box:
    """The offsets of a box: its start, its content, and its end by its own size, which may be beyond the file."""

    kind: bytes
    start: int
    content: int
    end: int

    @property
    def length(self) -> int:
        """Bytes of content."""
        return self.end - self.content


def box_at(file: RangedFile, offset: int, end: int) -> Box | None:
    """Return the box at an offset, or None if there is none. `end` is the end of its parent. Raises LimitReached."""
    file.step()
    header = file.at(offset, 16)
    if offset + 8 > end or len(header) < 8:
        return None
    size, content = int.from_bytes(header[:4]), offset + 8
    if size == 0:
        # The box extends to the end of its parent.
        size = end - offset
    elif size == 1:
        if len(header) < 16:
            return None
        size, content = int.from_bytes(header[8:16]), offset + 16
    # A size smaller than the header would never advance. Such a box ends the list.
    return Box(header[4:8], offset, content, offset + size) if content <= offset + size else None


def boxes_in(file: RangedFile, box: Box) -> Iterator[Box]:
    """Yield the boxes directly inside a box, up to the end of the file. Raises LimitReached."""
    offset, end = box.content, min(box.end, file.size)
    while (inner := box_at(file, offset, end)) is not None:
        yield inner
        offset = inner.end


def fields_of(file: RangedFile, box: Box, length: int, skip: int = 0) -> bytes | None:
    """Return `length` bytes of a box after the first `skip`, or None if it is shorter. Raises LimitReached."""
    if box.length < skip + length:
        return None
    found = file.at(box.content + skip, length)
    return found if len(found) == length else None
