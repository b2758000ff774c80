"""Facts of an ISO base media file: MP4, QuickTime, 3GP, M4A. In parentheses are sections of ISO/IEC 14496-12."""

from dataclasses import dataclass, field
from typing import Final

from recordings.adapters.storage.media.boxes import Box, box_at, boxes_in, fields_of
from recordings.adapters.storage.media.fragments import FRAGMENT_BOXES, Track, measure_fragments
from recordings.adapters.storage.media.ranges import LimitReached, RangedFile
from recordings.domain.media import Container, MediaFacts, plausible_duration

# The boxes that a file may begin with. QuickTime files older than `ftyp` begin with one of the second row.
FIRST_BOXES: Final = frozenset({
    b"ftyp", b"styp", b"sidx", b"moof",
    b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot",
})  # fmt: skip
# A file that ends within one of these was cut off. Other bytes after the last box are no box.
TOP_LEVEL: Final = FRAGMENT_BOXES | FIRST_BOXES
# Media data, and their description. A file with none of these has nothing to play.
MEDIA_BOXES: Final = frozenset({b"moov", b"mdat", b"moof"})
MAX_TRACKS: Final = 256

# Registered brands. Source: mp4ra.org/registered-types/brands.
IMAGE_BRANDS: Final = frozenset({
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"miaf",
    b"avif", b"avis", b"avci", b"avcs", b"jpeg", b"jpgs", b"j2ki", b"j2is", b"crx ", b"jp2 ", b"jpx ", b"jpm ", b"jxl ",
})  # fmt: skip
CONTAINERS: Final = {
    b"qt  ": Container.QUICKTIME,
    b"M4A ": Container.M4A,
    b"M4B ": Container.M4A,
    b"M4P ": Container.M4A,
    b"F4A ": Container.M4A,
    b"F4B ": Container.M4A,
}


@dataclass(slots=True)
class Movie:
    """What the boxes read so far contain."""

    container: Container = Container.QUICKTIME
    has_media_boxes: bool = False
    has_header: bool = False
    tracks: list[Track] = field(default_factory=list)
    seconds: float | None = None
    fragments_seconds: float | None = None
    fragmented: bool = False
    truncated: bool = False

    def has(self, handler: bytes) -> bool | None:
        """Return whether a track has this handler, or None if no tracks are known."""
        return any(track.handler == handler for track in self.tracks) if self.tracks else None


def isobmff_facts(file: RangedFile) -> MediaFacts:
    """Read what the file says about itself."""
    movie = Movie()
    try:
        _read(file, movie)
    except LimitReached:
        # The facts read so far count. Only the duration of a file that may have more fragments is unknown.
        pass
    if movie.container is Container.IMAGE or not movie.has_media_boxes:
        return MediaFacts(container=Container.IMAGE if movie.container is Container.IMAGE else Container.UNKNOWN)
    return MediaFacts(
        container=movie.container,
        has_video=movie.has(b"vide"),
        has_audio=movie.has(b"soun"),
        duration_seconds=_duration(movie),
        truncated=movie.truncated,
    )


def _duration(movie: Movie) -> int | None:
    if movie.fragmented:
        return plausible_duration(movie.fragments_seconds)
    if movie.truncated:
        # The header includes what is missing.
        return None
    seconds = plausible_duration(movie.seconds)
    if seconds is not None:
        return seconds
    tracks = [track.duration / track.timescale for track in movie.tracks if track.duration and track.timescale]
    return plausible_duration(max(tracks, default=None))


def _read(file: RangedFile, movie: Movie) -> None:
    offset = 0
    while (box := box_at(file, offset, file.size)) is not None:
        movie.truncated = box.end > file.size and box.kind in TOP_LEVEL
        movie.has_media_boxes |= box.kind in MEDIA_BOXES
        if box.kind in {b"ftyp", b"styp"} and offset == 0:
            movie.container = _container(file, box)
            if movie.container is Container.IMAGE:
                return
        elif box.kind in {b"moof", b"sidx"}:
            # QuickTime has no fragments. Fragments before their header are not measured.
            movie.container = Container.MP4 if offset == 0 else movie.container
            movie.fragmented |= box.kind == b"moof"
        elif box.kind == b"moov":
            if _read_moov(file, movie, box) or movie.fragmented:
                _read_fragments(file, movie, box.end)
                return
            movie.has_header = True
        offset = box.end
    # A movie without a header cannot be played: its writer was stopped, or the end is missing.
    movie.truncated = movie.truncated or not (movie.has_header or movie.fragmented)


def _container(file: RangedFile, ftyp: Box) -> Container:
    """Identify the container by the major brand (4.3)."""
    major = file.at(ftyp.content, min(ftyp.length, 4))
    if major in IMAGE_BRANDS:
        return Container.IMAGE
    if major in CONTAINERS:
        return CONTAINERS[major]
    if major[:3] == b"3g2":
        return Container.THREE_G2
    return Container.THREE_GP if major[:3] in {b"3gp", b"3gr", b"3gs", b"3ge", b"3gg"} else Container.MP4


def _read_moov(file: RangedFile, movie: Movie, moov: Box) -> bool:
    """Read the movie's header and tracks. Return whether fragments may follow."""
    scale, length, fragmented, total = 0, None, False, None
    defaults: dict[int, int] = {}
    for box in boxes_in(file, moov):
        if box.kind == b"mvhd":
            scale, length = _timing(file, box)
        elif box.kind == b"trak" and len(movie.tracks) < MAX_TRACKS:
            track = _track(file, box)
            movie.tracks += [track] if track is not None else []
        elif box.kind == b"mvex":
            fragmented = True
            total = _read_mvex(file, box, defaults)
    for track in movie.tracks:
        track.default_duration = defaults.get(track.id, 0)
    if scale and length:
        # A beginning in which no track plays is not part of the recording.
        movie.seconds = (length - min((track.delay for track in movie.tracks), default=0)) / scale
    movie.fragments_seconds = total / scale if scale and total else None
    return fragmented


def _read_mvex(file: RangedFile, mvex: Box, defaults: dict[int, int]) -> int | None:
    """Return the duration of all fragments in the movie's timescale (`mehd`, 8.8.2). Read the `trex` defaults."""
    total = None
    for box in boxes_in(file, mvex):
        if box.kind == b"mehd":
            wide = fields_of(file, box, 1) == b"\1"
            value = fields_of(file, box, 8 if wide else 4, 4)
            # A writer that was stopped leaves zero. All ones means unknown.
            total = int.from_bytes(value) if value and value != b"\xff" * len(value) else None
        elif box.kind == b"trex" and (value := fields_of(file, box, 16)):
            defaults[int.from_bytes(value[4:8])] = int.from_bytes(value[12:16])
    return total


def _read_fragments(file: RangedFile, movie: Movie, offset: int) -> None:
    if movie.truncated or movie.fragmented:
        movie.fragmented, movie.fragments_seconds = True, None
        return
    movie.fragmented = True
    tracks = {track.id: track for track in movie.tracks if track.timescale}
    total = plausible_duration(movie.fragments_seconds)
    movie.fragments_seconds = total
    measured = measure_fragments(file, tracks, offset)
    movie.truncated = measured.truncated
    if measured.count == 0 and not measured.truncated and total is None:
        # No fragment follows: the header covers the whole movie.
        movie.fragments_seconds = movie.seconds
    elif total is None or measured.truncated:
        movie.fragments_seconds = measured.seconds


def _track(file: RangedFile, trak: Box) -> Track | None:
    """Return one track, or None if the file ends before its handler."""
    track = Track()
    for box in boxes_in(file, trak):
        if box.kind == b"tkhd":
            wide = fields_of(file, box, 1) == b"\1"
            track.id = int.from_bytes(fields_of(file, box, 4, 20 if wide else 12) or b"")
        elif box.kind == b"edts":
            track.delay = sum(_delay(file, inner) for inner in boxes_in(file, box) if inner.kind == b"elst")
        elif box.kind == b"mdia":
            for inner in boxes_in(file, box):
                if inner.kind == b"mdhd":
                    track.timescale, track.duration = _timing(file, inner)
                elif inner.kind == b"hdlr":
                    track.handler = fields_of(file, inner, 4, 8) or b""
    return track if track.handler else None


def _delay(file: RangedFile, elst: Box) -> int:
    """Return the duration of the empty edit at a track's beginning, in the movie's timescale; 0 without one (8.6.6)."""
    wide = fields_of(file, elst, 1) == b"\1"
    width = 8 if wide else 4
    entry = fields_of(file, elst, 2 * width, 8)
    if entry is None or fields_of(file, elst, 4, 4) == bytes(4) or entry[width:] != b"\xff" * width:
        return 0
    return int.from_bytes(entry[:width])


def _timing(file: RangedFile, box: Box) -> tuple[int, int | None]:
    """Return timescale and duration of `mvhd` or `mdhd` (8.2.2, 8.4.2). A duration of all ones is unknown."""
    wide = fields_of(file, box, 1) == b"\1"
    value = fields_of(file, box, 12 if wide else 8, 20 if wide else 12)
    if value is None:
        return 0, None
    duration = value[4:]
    return int.from_bytes(value[:4]), int.from_bytes(duration) if duration != b"\xff" * len(duration) else None
