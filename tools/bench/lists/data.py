"""The recordings of one tenant over five uneven years, from a seed.

The years grow. Weekends, holidays and nights are quiet. One day is far greater than all others. Rooms are of uneven
size: the busiest has a fifth of the recordings.
"""

import random
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

from recordings.domain.archive import Archive
from recordings.domain.history import Change
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording
from recordings.domain.stored_file import StoredFile

TENANT: Final = "tenant-1"
FIRST_DAY: Final = date(2021, 12, 1)
DAYS: Final = 5 * 365 + 1
GREATEST_DAY: Final = date(2026, 9, 22)
# Of 1,000,000 recordings, 6,859 are of the greatest day.
GREATEST_SHARE: Final = 0.006859
# The busiest day but one has at most this share of the greatest day's.
MAX_OTHER_SHARE: Final = 0.5
DELETED_SHARE: Final = 0.03
BUSIEST_ROOM_SHARE: Final = 0.2
FAILED_SHARE: Final = 0.01
PROCESSING_SHARE: Final = 0.005
# Half of what is in processing has been stuck for long.
STUCK_SHARE: Final = 0.5
MAX_RECORDING: Final = 12
ARCHIVED_AFTER: Final = timedelta(days=60)
STATUSES: Final = tuple(Status)
# How a recording came to its status.
PATHS: Final[Mapping[Status, tuple[Status, ...]]] = {
    Status.RECORDING: (Status.RECORDING,),
    Status.PROCESSING: (Status.RECORDING, Status.PROCESSING),
    Status.READY: (Status.RECORDING, Status.PROCESSING, Status.READY),
    Status.ARCHIVED: (Status.RECORDING, Status.PROCESSING, Status.READY, Status.ARCHIVED),
    Status.FAILED: (Status.RECORDING, Status.PROCESSING, Status.FAILED),
}
CAUSES: Final[Mapping[Status, str]] = {
    Status.RECORDING: "api_start",
    Status.PROCESSING: "api_stop",
    Status.READY: "file_stored",
    Status.ARCHIVED: "api_archive",
    Status.FAILED: "capture_failed",
}
# By hour of the day.
HOURS: Final = (1, 1, 1, 1, 1, 2, 6, 20, 60, 95, 100, 90, 55, 70, 95, 90, 75, 45, 25, 15, 10, 6, 3, 2)
WEEKDAYS: Final = (1.0, 1.15, 1.2, 1.1, 0.85, 0.12, 0.07)
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS: Final = tuple(high + low for high in CROCKFORD for low in CROCKFORD)
NONE: Final = -1


class Deleted(NamedTuple):
    """A recording that was deleted: it left its counters, at zero."""

    created_at: datetime
    room_id: str
    status: Status


@dataclass(frozen=True)
class Dataset:
    """The recordings in columns, oldest first. Times are seconds since 1970; `NONE` stands for None."""

    ids: Sequence[str]
    times: Sequence[int]
    rooms: Sequence[int]
    statuses: Sequence[int]
    durations: Sequence[int]
    sizes: Sequence[int]
    room_ids: Sequence[str]
    deleted: Sequence[Deleted]

    def __len__(self) -> int:
        return len(self.ids)

    def status(self, at: int) -> Status:
        return STATUSES[self.statuses[at]]

    def room_id(self, at: int) -> str:
        return self.room_ids[self.rooms[at]]

    def created_at(self, at: int) -> datetime:
        return datetime.fromtimestamp(self.times[at], UTC)

    def of_room(self, room_id: str) -> Sequence[int]:
        """Return the places of a room's recordings, oldest first."""
        return self._places_by_room.get(self.room_ids.index(room_id), [])

    @cached_property
    def _places_by_room(self) -> Mapping[int, Sequence[int]]:
        found: dict[int, array[int]] = {}
        for at, room in enumerate(self.rooms):
            found.setdefault(room, array("l")).append(at)
        return found

    @cached_property
    def greatest_day(self) -> range:
        """The places of the greatest day's recordings."""
        midnight = int(datetime(GREATEST_DAY.year, GREATEST_DAY.month, GREATEST_DAY.day, tzinfo=UTC).timestamp())
        return range(bisect_left(self.times, midnight), bisect_left(self.times, midnight + 86_400))

    def recording(self, at: int) -> Recording:
        """Return a recording as our code stores it at the end of its way to its status."""
        status, created_at = self.status(at), self.created_at(at)
        duration = None if self.durations[at] == NONE else self.durations[at]
        path = PATHS[status]
        stopped_at = created_at + timedelta(seconds=duration or 1800)
        room_id, recording_id = self.room_id(at), self.ids[at]
        is_archived = status is Status.ARCHIVED
        file = None
        if self.sizes[at] != NONE:
            key = f"{TENANT}/{room_id}/{recording_id}/1/recording.mp4"
            file = StoredFile(
                store="s3" if is_archived else "r2",
                key=f"recordings/{key}" if is_archived else key,
                size_bytes=self.sizes[at],
                content_type="video/mp4",
                crc32=f"{at & 0xFFFFFFFF:08x}",
                etag=f'"{at:032x}-60"',
            )
        return Recording(
            id=recording_id,
            tenant_id=TENANT,
            room_id=room_id,
            room_name=f"Room {room_id}",
            meeting_id=f"{self.rooms[at]:08x}-0000-4000-8000-{0:012x}",
            cloudflare_recording_id=f"{at:08x}-0000-4000-9000-{0:012x}",
            status=status,
            origin="api",
            created_at=created_at,
            started_at=created_at,
            stop_requested_at=None if status is Status.RECORDING else stopped_at,
            stopped_at=None if status is Status.RECORDING else stopped_at,
            duration_seconds=duration,
            file=file,
            archived_at=stopped_at + ARCHIVED_AFTER if is_archived else None,
            archive=Archive(state="stored", storage_class="DEEP_ARCHIVE", moved_from=key) if is_archived else None,
            archive_attempt=int(is_archived),
            failure=Failure("capture_failed", "Cloudflare lost the recording; there is no file of it.")
            if status is Status.FAILED
            else None,
            history=tuple(Change(one, stopped_at, CAUSES[one]) for one in path),
            version=len(path) + 2,
        )


def generate(live: int, *, seed: int = 1) -> Dataset:
    """Return `live` recordings and those that were deleted."""
    chance = random.Random(f"{seed}-{live}")
    times = array("q")
    for number, count in enumerate(_counts(live, chance)):
        midnight = int(datetime.combine(FIRST_DAY + timedelta(days=number), datetime.min.time(), UTC).timestamp())
        times.extend(sorted(midnight + second for second in _seconds(count, chance)))
    room_ids = [f"room-{number:04}" for number in range(max(5, round(live**0.45)))]
    rooms = array("H", chance.choices(range(len(room_ids)), _room_weights(len(room_ids)), k=live))
    statuses = _statuses(times, chance)
    durations, sizes = array("q"), array("q")
    for status in statuses:
        has_file = STATUSES[status] in (Status.READY, Status.ARCHIVED)
        durations.append(min(14_400, int(chance.lognormvariate(7.6, 0.8))) if has_file else NONE)
        sizes.append(durations[-1] * chance.randrange(55_000, 90_000) if has_file else NONE)
    deleted = [
        Deleted(datetime.fromtimestamp(times[at], UTC), room_ids[rooms[at]], STATUSES[statuses[at]])
        for at in chance.sample(range(live), round(live * DELETED_SHARE))
        if STATUSES[statuses[at]] is not Status.RECORDING
    ]
    return Dataset(list(_ids(times, chance)), times, rooms, statuses, durations, sizes, room_ids, deleted)


def _counts(live: int, chance: random.Random) -> Iterator[int]:
    """Return how many recordings each day has."""
    days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
    weights = [_weight(day, number, chance) for number, day in enumerate(days)]
    greatest = round(live * GREATEST_SHARE)
    total = sum(weight for day, weight in zip(days, weights, strict=True) if day != GREATEST_DAY)
    most = MAX_OTHER_SHARE * GREATEST_SHARE * total
    weights = [0.0 if day == GREATEST_DAY else min(weight, most) for day, weight in zip(days, weights, strict=True)]
    checksums = list(accumulate(weights, initial=0.0))
    rest = live - greatest
    for number, day in enumerate(days):
        if day == GREATEST_DAY:
            yield greatest
        else:
            yield round(rest * checksums[number + 1] / checksums[-1]) - round(rest * checksums[number] / checksums[-1])


def _weight(day: date, number: int, chance: random.Random) -> float:
    growth = 8 ** (number / DAYS) * (1.5 if day.year >= 2024 else 1)
    season = 0.6 if day.month == 8 else 0.1 if (day.month, day.day) >= (12, 23) or (day.month, day.day) <= (1, 2) else 1
    return growth * season * WEEKDAYS[day.weekday()] * chance.lognormvariate(0, 0.25)


def _seconds(count: int, chance: random.Random) -> list[int]:
    hours = chance.choices(range(24), HOURS, k=count)
    return [hour * 3600 + chance.randrange(3600) for hour in hours]


def _room_weights(count: int) -> list[float]:
    others = [1 / place**0.8 for place in range(1, count)]
    return [BUSIEST_ROOM_SHARE, *((1 - BUSIEST_ROOM_SHARE) * one / sum(others) for one in others)]


def _statuses(times: Sequence[int], chance: random.Random) -> Sequence[int]:
    live, now = len(times), times[-1]
    ready, archived = STATUSES.index(Status.READY), STATUSES.index(Status.ARCHIVED)
    old = now - ARCHIVED_AFTER.total_seconds()
    found = array("B", (archived if at < old and chance.random() < 0.95 else ready for at in times))
    for at in chance.sample(range(live), round(live * FAILED_SHARE)):
        found[at] = STATUSES.index(Status.FAILED)
    processing = max(2, round(live * PROCESSING_SHARE))
    stuck = round(processing * STUCK_SHARE)
    newest = range(max(0, live - 4 * processing), live)
    for at in (*chance.sample(range(live), stuck), *chance.sample(newest, min(len(newest), processing - stuck))):
        found[at] = STATUSES.index(Status.PROCESSING)
    for at in chance.sample(range(max(0, live - 50), live), min(MAX_RECORDING, max(1, live // 200))):
        found[at] = STATUSES.index(Status.RECORDING)
    return found


def _ids(times: Sequence[int], chance: random.Random) -> Iterator[str]:
    """Return ids that sort as the times do. Within one millisecond, the random part is sorted too."""
    before = ""
    for at in times:
        milliseconds = at * 1000
        text = f"rec_{_base32(milliseconds, 5)}{_base32(chance.getrandbits(80), 8)}"
        while text <= before:
            text = f"rec_{_base32(milliseconds, 5)}{_base32(chance.getrandbits(80), 8)}"
        yield text
        before = text


def _base32(number: int, pairs: int) -> str:
    """Return a number in Crockford's base 32, two digits for each of `pairs` (ULID specification)."""
    return "".join(PAIRS[number >> (10 * place) & 1023] for place in reversed(range(pairs)))
