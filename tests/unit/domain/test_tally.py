"""Tallies: which bucket and which counter a recording is counted in."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level, changes, counter_of, parse_counter
from tests.support.builders import NOON, a_file, a_recording

LAST_SECOND = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("level", "bucket", "child", "start"),
    [
        (Level.YEAR, "2026", "12", datetime(2026, 12, 1, tzinfo=UTC)),
        (Level.MONTH, "2026-12", "31", datetime(2026, 12, 31, tzinfo=UTC)),
        (Level.DAY, "2026-12-31", "95", datetime(2026, 12, 31, 23, 45, tzinfo=UTC)),
    ],
)
def test_a_time_lies_in_a_bucket_and_in_a_child_that_began_before_it(
    level: Level, bucket: str, child: str, start: datetime
) -> None:
    assert (level.bucket_of(LAST_SECOND), level.child_of(LAST_SECOND)) == (bucket, child)
    assert level.start_of(bucket, child) == start
    assert level.child_of(start) == child


@pytest.mark.parametrize("status", Status)
def test_the_name_of_a_counter_says_which_child_and_status_it_counts(status: Status) -> None:
    assert parse_counter(counter_of("07", status)) == ("07", status)


@pytest.mark.parametrize("name", ["seconds", "bytes", "pk", "kind", "007d", "1d"])
def test_other_names_are_not_counters_of_a_child(name: str) -> None:
    assert parse_counter(name) is None


def test_a_change_of_status_moves_a_recording_between_counters() -> None:
    before = a_recording(status=Status.PROCESSING)
    after = replace(before, status=Status.READY, file=a_file(size_bytes=7), duration_seconds=5)
    assert changes(Level.YEAR, None, before) == {"01p": 1}
    assert changes(Level.MONTH, before, after) == {"06p": -1, "06d": 1}
    assert changes(Level.DAY, before, after) == {"48p": -1, "48d": 1, "seconds": 5, "bytes": 7}
    assert changes(Level.DAY, after, after.deleted(at=NOON)) == {"48d": -1, "seconds": -5, "bytes": -7}


def test_a_change_of_a_deleted_recording_changes_no_counter() -> None:
    deleted = a_recording(status=Status.READY).deleted(at=NOON)
    assert changes(Level.DAY, deleted, replace(deleted, duration_seconds=9)) == {}
