"""A recording changes only as the lifecycle allows, one version at a time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.domain.archive import Archive
from recordings.domain.errors import (
    RecordingInProgress,
    RecordingNotArchivable,
    RecordingNotArchived,
    RecordingNotRecoverable,
    RecordingsError,
    TransitionNotAllowed,
)
from recordings.domain.history import Change
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.recording import Failure, Progress, Recording
from recordings.domain.stored_file import StoredFile
from recordings.domain.tally import day_of, difference
from tests.support.builders import a_recording

NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=30)
FILE = StoredFile(store="r2", key="k", size_bytes=1000, content_type="video/mp4")


def started() -> Recording:
    return Recording.begin(
        id="rec_1",
        tenant_id="acme",
        room_id="room_1",
        room_name="CS101",
        meeting_id="m",
        cloudflare_recording_id="c",
        origin="api",
        at=NOON,
        cause="api_start",
    )


def test_each_transition_adds_a_version_and_a_history_entry() -> None:
    stopped = started().stopped(at=LATER, cause="api_stop")
    stored = stopped.stored(FILE, duration_seconds=1800, partial=False, at=LATER, cause="file_verified")

    assert [one.version for one in (started(), stopped, stored)] == [1, 2, 3]
    assert [(one.status, one.cause) for one in stored.history] == [
        (Status.RECORDING, "api_start"),
        (Status.PROCESSING, "api_stop"),
        (Status.READY, "file_verified"),
    ]
    assert stored.stopped_at == LATER


def test_a_stop_is_refused_once_stopped() -> None:
    with pytest.raises(TransitionNotAllowed):
        started().stopped(at=LATER, cause="api_stop").stopped(at=LATER, cause="api_stop")


def test_an_outdated_observation_returns_the_same_recording() -> None:
    stored = (
        started()
        .stopped(at=LATER, cause="api_stop")
        .stored(FILE, duration_seconds=1, partial=False, at=LATER, cause="file_verified")
    )
    assert stored.ended(at=LATER, cause="capture_ended") is stored
    assert stored.failed(Failure("capture_failed", "lost"), at=LATER, cause="capture_failed") is stored


def test_a_recording_that_never_stopped_cannot_become_ready() -> None:
    running = started()
    assert running.stored(FILE, duration_seconds=1, partial=False, at=LATER, cause="x") is running


def test_a_day_is_the_utc_date() -> None:
    assert day_of(datetime(2026, 1, 6, 23, 59, 59, tzinfo=UTC)) == "2026-01-06"


def test_a_tally_changes_by_what_the_recording_changes() -> None:
    stopped = started().stopped(at=LATER, cause="api_stop")
    stored = stopped.stored(FILE, duration_seconds=1800, partial=False, at=LATER, cause="file_verified")

    assert difference(None, started()) == {"total": 1, "status_recording": 1}
    assert difference(stopped, stored) == {"status_processing": -1, "status_ready": 1, "seconds": 1800, "bytes": 1000}
    assert difference(stored, stored) == {}
    assert difference(stored, None) == {"total": -1, "status_ready": -1, "seconds": -1800, "bytes": -1000}
    assert difference(stored, replace(stored, duration_seconds=1801)) == {"seconds": 1}


# ---------------------------------------------------------------- cold storage

ARCHIVE_COMPLETED = StoredFile(store="s3", key="v", size_bytes=1000, content_type="video/mp4", crc32="0badcafe")
ERROR = Failure("archive_failed", "No.")
UNTIL = LATER + timedelta(days=7)


def ready(**changes: Any) -> Recording:
    return a_recording(status=Status.READY, file=FILE, **changes)


def moving() -> Recording:
    return ready().archiving(at=LATER)


def with_archive_completed() -> Recording:
    return moving().archive_completed(ARCHIVE_COMPLETED, storage_class="GLACIER", at=LATER)


def emptied() -> Recording:
    return with_archive_completed().source_emptied()


def asked() -> Recording:
    return emptied().restoring(tier="standard", days=7, expected_at=UNTIL, at=LATER)


def restoring() -> Recording:
    decided = asked()
    assert decided.archive is not None
    return decided.restore_requested(decided.archive, until=None)


def test_a_moving_recording_is_served_from_r2() -> None:
    before = ready(archive_error=ERROR, archive_attempt=1)
    one = before.archiving(at=LATER)
    assert (one.status, one.archived_at, one.file, one.archive_attempt) == (Status.ARCHIVED, LATER, FILE, 2)
    assert one.archive == Archive(state="moving", moved_from="k")
    assert one.archive_error is None
    assert (one.version, one.history[-1]) == (before.version + 1, Change(Status.ARCHIVED, LATER, "api_archive"))
    assert one.moving
    assert one.unfinished


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.READY])
def test_only_a_ready_recording_is_archived(status: Status) -> None:
    with pytest.raises(RecordingNotArchivable, match=status):
        a_recording(status=status).archiving(at=LATER)


@pytest.mark.parametrize("file", [None, ARCHIVE_COMPLETED])
def test_only_a_file_in_r2_is_archived(file: StoredFile | None) -> None:
    with pytest.raises(RecordingNotArchivable):
        a_recording(status=Status.READY, file=file).archiving(at=LATER)


def test_a_verified_copy_becomes_the_file() -> None:
    before = replace(moving(), progress=Progress(step="copying", attempt=1))
    one = before.archive_completed(ARCHIVE_COMPLETED, storage_class="GLACIER", at=LATER)
    assert (one.file, one.status, one.progress) == (ARCHIVE_COMPLETED, Status.ARCHIVED, None)
    assert one.archive == Archive(state="stored", storage_class="GLACIER", moved_from="k", source_kept_until=LATER)
    assert (one.version, one.history) == (before.version + 1, before.history)
    assert not one.moving
    # R2 still holds the source.
    assert one.unfinished
    kept = one.source_kept(until=UNTIL)
    assert kept.archive == replace(one.archive, source_kept_until=UNTIL)
    assert kept.source_kept(until=LATER) is kept
    gone = kept.source_emptied()
    assert gone.archive == Archive(state="stored", storage_class="GLACIER", moved_from="k")
    assert (gone.unfinished, gone.version) == (False, one.version + 2)
    assert gone.source_emptied() is gone
    assert gone.source_kept(until=UNTIL) is gone


def test_an_abandoned_move_loses_nothing() -> None:
    before = moving()
    one = before.archive_abandoned(ERROR, at=UNTIL)
    assert (one.status, one.file, one.archive, one.archived_at) == (Status.READY, FILE, None, None)
    assert (one.archive_error, one.archive_attempt) == (ERROR, 1)
    assert (one.version, one.history[-1]) == (before.version + 1, Change(Status.READY, UNTIL, "archive_failed"))
    again = one.archiving(at=UNTIL)
    assert (again.archive_error, again.archive_attempt) == (None, 2)


@pytest.mark.parametrize(
    "one", [started(), ready(), with_archive_completed(), restoring(), a_recording(status=Status.FAILED)]
)
def test_the_end_of_a_move_that_does_not_run_changes_nothing(one: Recording) -> None:
    assert one.archive_completed(ARCHIVE_COMPLETED, storage_class="GLACIER", at=LATER) is one
    assert one.archive_abandoned(ERROR, at=LATER) is one


def test_a_restored_copy_is_requested_becomes_readable_and_expires() -> None:
    decided = asked().archive
    assert decided == Archive(
        state="restoring",
        storage_class="GLACIER",
        expected_at=UNTIL,
        tier="standard",
        days=7,
        moved_from="k",
        pending_since=LATER,
    )
    once = restoring()
    assert once.archive == replace(decided, pending_since=None)
    there = once.restored(until=UNTIL)
    assert there.archive is not None
    assert (there.archive.state, there.archive.restored_until, there.archive.expected_at) == ("restored", UNTIL, None)
    assert there.restored(until=UNTIL) is there
    assert there.restored(until=UNTIL + timedelta(days=1)).archive != there.archive
    gone = there.restore_expired(at=UNTIL)
    assert gone.archive == Archive(state="stored", storage_class="GLACIER", moved_from="k")
    assert [one.version - once.version for one in (once, there, gone)] == [0, 1, 2]
    assert once.history == there.history == gone.history
    assert {one.status for one in (once, there, gone)} == {Status.ARCHIVED}


@pytest.mark.parametrize("one", [started(), ready(), moving(), a_recording(status=Status.FAILED)])
def test_only_a_file_in_cold_storage_is_restored(one: Recording) -> None:
    with pytest.raises(RecordingNotArchived):
        one.restoring(tier="bulk", days=1, expected_at=LATER, at=LATER)
    assert one.restored(until=UNTIL) is one
    assert one.restore_expired(at=UNTIL) is one


def test_a_renewed_copy_stays_readable() -> None:
    there = restoring().restored(until=UNTIL)
    longer = there.renewing(until=UNTIL, tier="bulk", days=9, at=LATER)
    assert longer.archive is not None
    assert (longer.archive.state, longer.archive.restored_until, longer.archive.days) == ("restored", UNTIL, 9)
    assert longer.restore_expired(at=UNTIL + timedelta(days=1)) is longer
    later = UNTIL + timedelta(days=9)
    renewed = longer.restore_requested(longer.archive, until=later)
    assert renewed.archive is not None
    assert (renewed.archive.state, renewed.archive.restored_until, renewed.archive.pending_since) == (
        "restored",
        later,
        None,
    )
    # It expired before the new request, whose copy is still being made.
    anew = longer.restore_requested(longer.archive, until=None)
    assert anew.archive is not None
    assert (anew.archive.state, anew.archive.restored_until) == ("restoring", None)
    with pytest.raises(RecordingNotArchived):
        ready().renewing(until=UNTIL, tier="bulk", days=9, at=LATER)


def test_the_result_of_a_replaced_request_changes_nothing() -> None:
    decided = asked()
    first = decided.archive
    assert first is not None
    faster = decided.restoring(tier="expedited", days=7, expected_at=UNTIL, at=LATER + timedelta(minutes=1))
    assert faster.restore_requested(first, until=None) is faster
    assert faster.restore_refused(first, first) is faster
    assert decided.restore_refused(first, Archive(state="stored")).archive == Archive(state="stored")
    done = restoring()
    assert done.restore_requested(first, until=None) is done
    assert ready().restore_requested(first, until=None).archive is None


@pytest.mark.parametrize(
    ("one", "overdue"),
    [
        (ready(), False),
        (moving(), True),
        (asked(), True),
        (restoring(), False),
        (with_archive_completed(), True),
        (with_archive_completed().source_kept(until=UNTIL), False),
        (emptied(), False),
    ],
)
def test_an_unfinished_archive_becomes_overdue(one: Recording, overdue: bool) -> None:
    assert one.archive_overdue(LATER + timedelta(minutes=11)) is overdue
    assert one.archive_overdue(LATER) is (one == with_archive_completed())
    assert one.archive_overdue(UNTIL) is (one.archive is not None and one.archive_unfinished)


def test_a_stop_is_decided_once_and_only_while_recording() -> None:
    one = started().stop_requested(at=LATER)
    assert (one.status, one.stop_requested_at, one.version) == (Status.RECORDING, LATER, started().version + 1)
    assert one.stop_requested(at=UNTIL) is one
    assert one.stopped(at=UNTIL, cause="api_stop").stop_requested_at == LATER
    with pytest.raises(TransitionNotAllowed):
        ready().stop_requested(at=LATER)


def test_the_expiry_of_an_older_copy_changes_nothing() -> None:
    there = restoring().restored(until=UNTIL)
    assert there.restore_expired(at=UNTIL - timedelta(seconds=1)) is there
    again = there.restoring(tier="bulk", days=7, expected_at=UNTIL, at=LATER)
    for one in (with_archive_completed(), restoring(), again):
        assert one.restore_expired(at=UNTIL + timedelta(days=9)) is one


# ---------------------------------------------------------------- deletion and recovery


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.RECORDING])
def test_a_deleted_recording_comes_back_as_it_was(status: Status) -> None:
    before = a_recording(status=status)
    gone = before.deleted(at=LATER)
    assert gone == replace(before, deleted_at=LATER, version=before.version + 1)
    assert gone.deleted(at=UNTIL) is gone
    assert gone.undeleted() == replace(before, version=before.version + 2)
    assert before.undeleted() is before
    assert difference(before, gone) == {name: -amount for name, amount in difference(None, before).items()}
    assert difference(gone, gone.undeleted()) == difference(None, before)


def test_a_recording_in_progress_is_not_deleted() -> None:
    with pytest.raises(RecordingInProgress):
        started().deleted(at=LATER)


def test_a_new_attempt_resets_progress_and_stalled() -> None:
    stuck = a_recording(
        status=Status.PROCESSING, attempt=3, stalled=True, progress=Progress(step="stalled", attempt=3), version=7
    )
    one = stuck.recovered(at=LATER)
    assert one == replace(stuck, attempt=4, recovered_at=LATER, stalled=False, progress=None, version=8)
    assert one.history == stuck.history


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PROCESSING])
def test_only_a_recording_in_processing_is_recovered(status: Status) -> None:
    with pytest.raises(RecordingNotRecoverable, match=status):
        a_recording(status=status).recovered(at=LATER)


def test_a_recording_without_a_cloudflare_id_is_not_recovered() -> None:
    with pytest.raises(RecordingNotRecoverable, match="Cloudflare"):
        a_recording(status=Status.PROCESSING, cloudflare_recording_id=None).recovered(at=LATER)


@pytest.mark.parametrize(
    ("one", "is_open"),
    [
        (a_recording(status=Status.RECORDING), True),
        (a_recording(status=Status.PROCESSING), True),
        (a_recording(status=Status.PROCESSING, stalled=True), True),
        (a_recording(status=Status.READY), False),
        (a_recording(status=Status.FAILED), False),
        (moving(), True),
        (moving().deleted(at=LATER), True),
        (with_archive_completed(), True),
        (emptied(), False),
        (asked(), True),
        (restoring(), False),
        (moving().archive_abandoned(ERROR, at=LATER), False),
    ],
)
def test_a_recording_is_unfinished_while_work_remains(one: Recording, is_open: bool) -> None:
    assert one.unfinished is is_open


STEPS: dict[str, Callable[[Recording], Recording]] = {
    "stop_requested": lambda one: one.stop_requested(at=LATER),
    "source_kept": lambda one: one.source_kept(until=UNTIL),
    "source_emptied": lambda one: one.source_emptied(),
    "renewing": lambda one: one.renewing(until=UNTIL, tier="bulk", days=1, at=LATER),
    "stopped": lambda one: one.stopped(at=LATER, cause="x"),
    "ended": lambda one: one.ended(at=LATER, cause="x"),
    "failed": lambda one: one.failed(ERROR, at=LATER, cause="x"),
    "stored": lambda one: one.stored(FILE, duration_seconds=1, partial=False, at=LATER, cause="x"),
    "archiving": lambda one: one.archiving(at=LATER),
    "vaulted": lambda one: one.archive_completed(ARCHIVE_COMPLETED, storage_class="GLACIER", at=LATER),
    "not_archived": lambda one: one.archive_abandoned(ERROR, at=LATER),
    "restoring": lambda one: one.restoring(tier="bulk", days=1, expected_at=UNTIL, at=LATER),
    "restored": lambda one: one.restored(until=UNTIL),
    "restore_expired": lambda one: one.restore_expired(at=UNTIL),
    "deleted": lambda one: one.deleted(at=LATER),
    "undeleted": lambda one: one.undeleted(),
    "recovered": lambda one: one.recovered(at=LATER),
}


@pytest.mark.no_cover
@settings(max_examples=500)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=25))
def test_every_change_adds_one_version_and_follows_the_lifecycle(steps: list[str]) -> None:
    one = started()
    for step in steps:
        try:
            after = STEPS[step](one)
        except RecordingsError:
            continue
        assert (after is one) or after.version == one.version + 1
        assert after.history[: len(one.history)] == one.history
        assert after.status is one.status or after.status in TRANSITIONS[one.status].values()
        assert len(after.history) - len(one.history) == (after.status is not one.status)
        assert after.history[-1].status is after.status
        assert (after.status is Status.FAILED) == (after.failure is not None)
        assert (after.file is not None) == (after.status in {Status.READY, Status.ARCHIVED})
        assert (after.archive is not None) == (after.status is Status.ARCHIVED)
        assert not (after.deleted_at and after.status is Status.RECORDING)
        one = after
