"""The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from recordings.adapters.storage.media.ranges import RangedFile


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box begins, where its content does, and where it ends by its own size: that may be beyond the file."""

    kind: bytes
    start: int
    content: int
    end: int

    @property
    def length(self) -> int:
        """Bytes of content."""
        return self.end - self.content


def box_at(file: RangedFile, offset: int, end: int) -> Box | None:
    """The box that begins there, or None where none can. `end` is that of what holds it. Raises LimitReached."""
    file.step()
    header = file.at(offset, 16)
    if offset + 8 > end or len(header) < 8:
        return None
    size, content = int.from_bytes(header[:4]), offset + 8
    if size == 0:
        # To the end of what holds it.
        size = end - offset
    elif size == 1:
        if len(header) < 16:
            return None
        size, content = int.from_bytes(header[8:16]), offset + 16
    # A size smaller than the header would not get on: such a box ends the list.
    return Box(header[4:8], offset, content, offset + size) if content <= offset + size else None


def boxes_in(file: RangedFile, box: Box) -> Iterator[Box]:
    """The boxes in a box, one level deep, as far as the file goes. Raises LimitReached."""
    offset, end = box.content, min(box.end, file.size)
    while (inner := box_at(file, offset, end)) is not None:
        yield inner
        offset = inner.end


def fields_of(file: RangedFile, box: Box, length: int, skip: int = 0) -> bytes | None:
    """`length` bytes of a box's content behind the first `skip`, or None if it is shorter. Raises LimitReached."""
    if box.length < skip + length:
        return None
    found = file.at(box.content + skip, length)
    return found if len(found) == length else None
