"""Read the container, the tracks and the duration of a media file from the file itself, with few bounded reads."""

from typing import Final

from recordings.adapters.storage.media.isobmff import FIRST_BOXES, isobmff_facts
from recordings.adapters.storage.media.matroska import matroska_facts
from recordings.adapters.storage.media.ranges import RangedFile, Read
from recordings.adapters.storage.media.signatures import signature_facts
from recordings.domain.media import MediaFacts

EBML_MAGIC: Final = b"\x1a\x45\xdf\xa3"


def read_media_facts(read: Read, size: int) -> MediaFacts:
    """Return what a file of `size` bytes is. `read` receives the first and the last offset of a range.

    It takes at most MAX_READS reads and MAX_READ_BYTES bytes (ranges.py). Raises what `read` raises.
    """
    file = RangedFile(read, size)
    head = file.at(0, 16)
    if head[:4] == EBML_MAGIC:
        return matroska_facts(file)
    if head[4:8] in FIRST_BOXES:
        return isobmff_facts(file)
    return signature_facts(file)
