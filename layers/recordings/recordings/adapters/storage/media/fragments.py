"""The duration of a fragmented MP4 that does not contain it: read from its last fragments, which few reads find.

The movie header covers only the samples before the first fragment (8.8.1). So the movie ends where the last fragment of
a track ends: at its decode time (`tfdt`) plus the durations of its samples (`trun`). In parentheses are sections of
ISO/IEC 14496-12.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from recordings.adapters.storage.media.boxes import Box, box_at, boxes_in, fields_of
from recordings.adapters.storage.media.ranges import RangedFile

# How many reads the walk from the first fragment may take. A file that needs more is read from its end.
WALK_READS: Final = 24
# The windows at the end of the file that are searched for its last fragments, in turn.
TAIL_BYTES: Final = (256 * 1024, 1024 * 1024, 8 * 1024 * 1024)
MAX_CANDIDATES: Final = 64
# A fragment with an hour of audio has at most 170,000 samples.
MAX_RUN_BYTES: Final = 2 * 1024 * 1024
# The boxes between fragments (4.3, and DASH). Any other bytes in the tail are no list of boxes.
FRAGMENT_BOXES: Final = frozenset({
    b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"styp", b"emsg", b"prft", b"free", b"skip", b"uuid", b"meta", b"udta",
})  # fmt: skip


@dataclass(slots=True)
class Track:
    """One track. `duration` and times are in units of 1/`timescale` s, `default_duration` is that of one sample.

    `delay` is how much later than the movie the track begins, in the movie's timescale.
    """

    id: int = 0
    handler: bytes = b""
    timescale: int = 0
    duration: int | None = None
    delay: int = 0
    default_duration: int = 0


@dataclass(slots=True)
class Timeline:
    """The times at which the fragments of each track begin and end."""

    tracks: dict[int, Track]
    starts: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    # The number of fragments, and whether the times of one of them are unknown.
    fragments: int = 0
    unclear: bool = False

    def add(self, times: dict[int, tuple[int, int]] | None) -> None:
        """Add a fragment with begin and end of each of its tracks; None if they are unknown."""
        self.fragments += 1
        if times is None:
            self.unclear = True
            return
        for track_id, (start, end) in times.items():
            self.starts.setdefault(track_id, start)
            self.ends[track_id] = max(end, self.ends.get(track_id, 0))

    def seconds(self, starts: dict[int, int]) -> float | None:
        """Return the time from the first sample to the end of the last one, or None if a fragment's is unknown."""
        if self.unclear or not self.ends:
            return None
        tracks = self.tracks
        begin = min((at / tracks[one].timescale for one, at in starts.items()), default=0.0)
        return max(end / tracks[one].timescale for one, end in self.ends.items()) - begin


@dataclass(frozen=True, slots=True)
class Fragmented:
    """What the fragments say. `count` is None if not all were read."""

    seconds: float | None
    count: int | None
    truncated: bool = False


def measure_fragments(file: RangedFile, tracks: dict[int, Track], offset: int) -> Fragmented:
    """Measure the fragments after a movie header that ends at `offset`. Raises LimitReached."""
    timeline = Timeline(tracks)
    end = _walk(file, timeline, offset, reads=WALK_READS)
    starts = {} if any(track.duration for track in tracks.values()) else timeline.starts
    if end is not None:
        return Fragmented(timeline.seconds(starts), timeline.fragments, truncated=end != file.size)
    tail = Timeline(tracks)
    end = _indexed(file, tail) or _searched(file, tail, offset)
    return Fragmented(tail.seconds(starts) if end else None, None, truncated=end not in {None, file.size})


def _walk(file: RangedFile, timeline: Timeline, offset: int, reads: int | None = None) -> int | None:
    """Add the fragments from `offset` to the end of the file. Return where the last box ends, or None if not reached.

    A fragment counts if all its data are there.
    """
    # After the movie header every box is certain to be one. In the tail an unknown one is the bytes of a picture.
    whole_list, min_remaining = reads is not None, file.remaining_reads - (reads or 0)
    pending: list[dict[int, tuple[int, int]] | None] = []
    while offset < file.size:
        box = box_at(file, offset, file.size)
        if box is None and file.size - offset < 16:
            # The file ends within the header of a box.
            return file.size + 1
        if box is None or (whole_list and file.remaining_reads < min_remaining):
            return None
        if box.kind not in FRAGMENT_BOXES and (not whole_list or box.end > file.size):
            # Bytes that are no box may follow the last box.
            return file.size if whole_list and not pending else None
        if box.end > file.size:
            return box.end
        if box.kind == b"moof":
            pending.append(_times_in(file, timeline, box, whole_list=whole_list))
        elif box.kind == b"mdat":
            for times in pending:
                timeline.add(times)
            pending.clear()
        offset = box.end
    # A fragment without its data: the file was cut between them.
    return offset + 1 if pending else offset


def _indexed(file: RangedFile, timeline: Timeline) -> int | None:
    """Do as `_walk`, from the last fragments that the index at the end of the file names (8.8.9 to 8.8.11)."""
    tail = file.at(file.size - 16, 16)
    if tail[:8] != b"\0\0\0\x10mfro":
        return None
    index = box_at(file, file.size - int.from_bytes(tail[12:]), file.size)
    if index is None or index.kind != b"mfra":
        return None
    last = sorted({at for box in boxes_in(file, index) if box.kind == b"tfra" and (at := _last_entry(file, box))})
    for offset in last:
        moof = box_at(file, offset, file.size)
        if moof is None or moof.kind != b"moof":
            return None
        # The walk from the last fragment does not reach a track whose last fragment comes earlier.
        if offset != last[-1]:
            timeline.add(_times_in(file, timeline, moof, whole_list=False))
    return _walk(file, timeline, last[-1]) if last else None


def _last_entry(file: RangedFile, tfra: Box) -> int | None:
    """Return the offset of the last fragment that an index names."""
    head = fields_of(file, tfra, 16)
    if head is None:
        return None
    lengths, entries = int.from_bytes(head[8:12]), int.from_bytes(head[12:16])
    place = 8 if head[0] == 1 else 4
    width = 2 * place + sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
    entry = fields_of(file, tfra, width, 16 + (entries - 1) * width) if entries else None
    return int.from_bytes(entry[place : 2 * place]) if entry else None


def _searched(file: RangedFile, timeline: Timeline, min_offset: int) -> int | None:
    """Do as `_walk`, from the first fragment in the last megabytes from which boxes lead to the end of the file."""
    for window in TAIL_BYTES:
        first = max(file.size - window, min_offset)
        data = file.at(first, file.size - first)
        found = -1
        for _ in range(MAX_CANDIDATES):
            found = data.find(b"moof", found + 1)
            if found < 0:
                break
            box = box_at(file, first + found - 4, file.size) if found >= 4 else None
            if box is None or not _is_fragment(file, box):
                continue
            trial = Timeline(timeline.tracks)
            end = _walk(file, trial, box.start)
            if end is not None and trial.fragments:
                timeline.starts, timeline.ends = trial.starts, trial.ends
                timeline.fragments, timeline.unclear = trial.fragments, trial.unclear
                return end
        if first == min_offset:
            break
    return None


def _is_fragment(file: RangedFile, moof: Box) -> bool:
    """Whether this is a fragment, not bytes of a picture that look like one: `mfhd` comes first (8.8.5)."""
    first = box_at(file, moof.content, moof.end)
    return first is not None and first.kind == b"mfhd" and first.length == 8


def _times_in(
    file: RangedFile, timeline: Timeline, moof: Box, *, whole_list: bool
) -> dict[int, tuple[int, int]] | None:
    """Return begin and end of each track in a fragment, or None if one of them is unknown.

    With `whole_list` all fragments are read in order. Then one without a decode time begins where its track ended.
    """
    times: dict[int, tuple[int, int]] = {}
    for traf in boxes_in(file, moof):
        if traf.kind != b"traf":
            continue
        found = _track_times(file, timeline, traf, times, whole_list=whole_list)
        if found is None:
            return None
        times |= found
    return times


def _track_times(
    file: RangedFile, timeline: Timeline, traf: Box, known: dict[int, tuple[int, int]], *, whole_list: bool
) -> dict[int, tuple[int, int]] | None:
    track: Track | None = None
    default = length = 0
    start: int | None = None
    for box in boxes_in(file, traf):
        if box.kind == b"tfhd":
            track, default = _track_of(file, timeline.tracks, box)
        elif box.kind == b"tfdt":
            start = _decode_time(file, box)
        elif box.kind == b"trun":
            run = _run_length(file, box, default)
            if run is None:
                return None
            length += run
    if track is None or not track.timescale:
        return None
    if start is None:
        if not whole_list or track.duration:
            return None
        start = timeline.ends.get(track.id, 0)
    if track.id in known:
        # A track has two runs in one fragment.
        return {track.id: (min(start, known[track.id][0]), max(start + length, known[track.id][1]))}
    return {track.id: (start, start + length)}


def _track_of(file: RangedFile, tracks: dict[int, Track], tfhd: Box) -> tuple[Track | None, int]:
    """Return the track of a fragment, and the default duration of its samples (8.8.7)."""
    head = fields_of(file, tfhd, 8)
    track = tracks.get(int.from_bytes(head[4:8])) if head else None
    if head is None or track is None:
        return None, 0
    flags = int.from_bytes(head[1:4])
    if not flags & 0x08:
        return track, track.default_duration
    value = fields_of(file, tfhd, 4, 8 + 8 * (flags & 1) + 4 * (flags >> 1 & 1))
    return track, int.from_bytes(value or b"")


def _decode_time(file: RangedFile, tfdt: Box) -> int | None:
    """Return the decode time of the first sample of a fragment (8.8.12). All ones is no time."""
    version = fields_of(file, tfdt, 1)
    width = 8 if version == b"\1" else 4
    value = fields_of(file, tfdt, width, 4)
    return int.from_bytes(value) if value and value != b"\xff" * width else None


def _run_length(file: RangedFile, trun: Box, default: int) -> int | None:
    """Return the duration of all samples of a run (8.8.8), or None if it is unknown."""
    head = fields_of(file, trun, 8)
    if head is None:
        return None
    flags, count = int.from_bytes(head[1:4]), int.from_bytes(head[4:8])
    if not flags & 0x100:
        # A writer that sends each sample at once does not know its duration, and writes 0. For one sample the error is
        # that of one sample. The times of many such samples are unknown.
        return count * default if default or count < 2 else None
    words = (flags >> 8 & 0xF).bit_count()
    if 4 * words * count > MAX_RUN_BYTES:
        return None
    file.step(words * count // 64)
    skip = 8 + 4 * (flags & 1) + 4 * (flags >> 2 & 1)
    body = fields_of(file, trun, 4 * words * count, skip)
    return sum(struct.unpack(f">{words * count}I", body)[::words]) if body is not None else None
