"""Which writes of a recording are announced: each change of status and each import, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from recordings.domain.change import RecordingChange
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Progress, Recording
from tests.support.builders import NOON, a_file, a_recording


def a_life() -> list[Recording]:
    """Every change of status on the way to the archive and back."""
    recording = a_recording(status=Status.RECORDING)
    life = [recording]
    changes: list[Callable[[Recording], Recording]] = [
        lambda one: one.stopped(at=NOON, cause="api_stop"),
        lambda one: one.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="file_verified"),
        lambda one: one.archiving(at=NOON),
        lambda one: one.archive_abandoned(Failure("archive_failed", "No."), at=NOON),
        lambda one: one.archiving(at=NOON),
    ]
    for change in changes:
        recording = change(recording)
        life.append(recording)
    return life


@pytest.mark.parametrize(("before", "after"), list(pairwise(a_life())), ids=lambda one: f"{one.status}-{one.version}")
def test_every_change_of_status_is_a_transition(before: Recording, after: Recording) -> None:
    assert RecordingChange(before, after).transition == (before.status, after)


def test_a_failure_is_a_transition() -> None:
    before = a_recording(status=Status.RECORDING)
    after = before.failed(Failure("x", "y"), at=NOON, cause="x")
    assert RecordingChange(before, after).transition == (Status.RECORDING, after)


def test_a_change_of_status_of_a_deleted_recording_is_a_transition() -> None:
    before = a_recording(status=Status.RECORDING).stopped(at=NOON, cause="x").deleted(at=NOON)
    after = before.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
    assert RecordingChange(before, after).transition == (Status.PROCESSING, after)


@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING, Status.FAILED])
def test_an_import_has_no_status_before(status: Status) -> None:
    recording = a_recording(status=status)
    assert RecordingChange(None, recording).transition == (None, recording)


STOPPED = a_recording(status=Status.RECORDING).stopped(at=NOON, cause="x")
READY = STOPPED.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
MOVING = READY.archiving(at=NOON)
MOVED = MOVING.archive_completed(a_file(store="s3"), storage_class="GLACIER", at=NOON)
RESTORING = MOVED.restoring(tier="bulk", days=1, expected_at=NOON, at=NOON)
DELETED = READY.deleted(at=NOON)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(STOPPED, STOPPED.recovered(at=NOON), id="recovered"),
        pytest.param(STOPPED, replace(STOPPED, progress=Progress(step="copying", attempt=1)), id="progress"),
        pytest.param(STOPPED, replace(STOPPED, stalled=True), id="stalled"),
        pytest.param(MOVING, MOVED, id="moved to the archive"),
        pytest.param(MOVED, RESTORING, id="restore requested"),
        pytest.param(RESTORING, RESTORING.restored(until=NOON), id="restored"),
        # Deleting and undeleting remove one item and create another.
        pytest.param(READY, None, id="deleted, the old item"),
        pytest.param(None, DELETED, id="deleted, the new item"),
        pytest.param(DELETED, None, id="undeleted, the old item"),
        pytest.param(None, DELETED.undeleted(), id="undeleted, the new item"),
        pytest.param(None, None, id="no recording"),
    ],
)
def test_any_other_write_is_no_transition(before: Recording | None, after: Recording | None) -> None:
    assert RecordingChange(before, after).transition is None


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.READY, Status.FAILED, Status.ARCHIVED])
def test_an_import_that_is_deleted_and_undeleted_is_a_transition_once(status: Status) -> None:
    recording = a_recording(status=status)
    deleted = recording.deleted(at=NOON)
    writes = [(None, recording), (recording, None), (None, deleted), (deleted, None), (None, deleted.undeleted())]
    transitions = [RecordingChange(*write).transition for write in writes]
    assert [one is not None for one in transitions] == [True, False, False, False, False]


def test_the_ids_are_those_of_the_recording_now() -> None:
    assert RecordingChange(None, READY).ids == {"tenant_id": READY.tenant_id, "recording_id": READY.id}
    assert RecordingChange(READY, None).ids == {}
