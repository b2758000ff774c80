"""Tallies: counters of the recordings that are not deleted, by the time of their creation and by their status.

A tally belongs to a bucket of the calendar (UTC) and counts each of the bucket's children: a year its months, a month
its days, a day its quarter hours. So a few tallies show how many recordings lie before any time.

The counters of the earlier layout, one set for each day, are in `difference`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording

QUARTER: Final = timedelta(minutes=15)

# The last character of a counter's name. Stored, so they never change.
STATUS_LETTERS: Final[Mapping[Status, str]] = {
    Status.RECORDING: "r",
    Status.PROCESSING: "p",
    Status.READY: "d",
    Status.ARCHIVED: "a",
    Status.FAILED: "f",
}
_STATUSES: Final = {letter: status for status, letter in STATUS_LETTERS.items()}


class Level(StrEnum):
    """What a tally covers. Buckets are `2026`, `2026-01` and `2026-01-06`."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"

    def bucket_of(self, at: datetime) -> str:
        """Return the bucket that counts a recording with this `created_at`."""
        return at.isoformat()[: _BUCKET_LENGTHS[self]]

    def child_of(self, at: datetime) -> str:
        """Return the child of the bucket: a month `01` to `12`, a day `01` to `31`, or a quarter hour `00` to `95`."""
        match self:
            case Level.YEAR:
                return f"{at.month:02}"
            case Level.MONTH:
                return f"{at.day:02}"
            case Level.DAY:
                return f"{at.hour * 4 + at.minute // 15:02}"

    def start_of(self, bucket: str, child: str) -> datetime:
        """Return when a child of a bucket begins."""
        match self:
            case Level.YEAR:
                return datetime.fromisoformat(f"{bucket}-{child}-01T00:00:00+00:00")
            case Level.MONTH:
                return datetime.fromisoformat(f"{bucket}-{child}T00:00:00+00:00")
            case Level.DAY:
                return datetime.fromisoformat(f"{bucket}T00:00:00+00:00") + int(child) * QUARTER


_BUCKET_LENGTHS: Final[Mapping[Level, int]] = {Level.YEAR: 4, Level.MONTH: 7, Level.DAY: 10}


def counter_of(child: str, status: Status) -> str:
    """Return the name of the counter of a bucket's child: `01d` counts what is ready in January."""
    return child + STATUS_LETTERS[status]


def parse_counter(name: str) -> tuple[str, Status] | None:
    """Return the child and the status that a counter counts; None for `seconds` and `bytes` of a day."""
    child, status = name[:-1], _STATUSES.get(name[-1:])
    return (child, status) if status is not None and len(child) == 2 and child.isdecimal() else None


def changes(level: Level, before: Recording | None, after: Recording | None) -> dict[str, int]:
    """Return what a change adds to the counters of the recording's bucket, without zeros.

    A tally of a day also adds up `seconds` and `bytes`. A deleted recording counts as None.
    """
    counters: dict[str, int] = {}
    for recording, sign in ((before, -1), (after, 1)):
        if recording is None or recording.deleted_at is not None:
            continue
        amounts = {counter_of(level.child_of(recording.created_at.astimezone(UTC)), recording.status): 1}
        if level is Level.DAY:
            amounts |= {"seconds": recording.duration_seconds or 0, "bytes": recording.size_bytes or 0}
        for name, amount in amounts.items():
            counters[name] = counters.get(name, 0) + sign * amount
    return {name: amount for name, amount in counters.items() if amount}


def day_of(at: datetime) -> str:
    """Return the day that counts a recording with this `created_at`, as a UTC date: `2026-01-06`."""
    return at.strftime("%Y-%m-%d")


def difference(before: Recording | None, after: Recording | None) -> dict[str, int]:
    """Return what a change adds to the counters of its day in the earlier layout, without zeros.

    The counters are `total`, `status_<status>`, `seconds` and `bytes`. A deleted recording counts as None.
    """
    counters: dict[str, int] = {}
    for recording, sign in ((before, -1), (after, 1)):
        if recording is None or recording.deleted_at is not None:
            continue
        for name, amount in (
            ("total", 1),
            (f"status_{recording.status}", 1),
            ("seconds", recording.duration_seconds or 0),
            ("bytes", recording.size_bytes or 0),
        ):
            counters[name] = counters.get(name, 0) + sign * amount
    return {name: amount for name, amount in counters.items() if amount}
