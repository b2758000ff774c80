from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recordings.domain.errors import TransitionNotAllowed
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording, StoredFile
from recordings.domain.tally import day_of, difference

NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=30)
FILE = StoredFile(provider="r2", key="k", size_bytes=1000, content_type="video/mp4")


def begun() -> Recording:
    return Recording.begin(
        id="rec_1",
        tenant_id="acme",
        room_id="room_1",
        room_name="CS101",
        meeting_id="m",
        cloudflare_id="c",
        origin="api",
        at=NOON,
        cause="api_start",
    )


def test_each_transition_raises_the_version_and_is_kept_with_time_and_cause() -> None:
    stopped = begun().stopped(at=LATER, cause="api_stop")
    ready = stopped.stored(FILE, duration_seconds=1800, partial=False, at=LATER, cause="file_verified")

    assert [one.version for one in (begun(), stopped, ready)] == [1, 2, 3]
    assert [(one.status, one.cause) for one in ready.history] == [
        (Status.RECORDING, "api_start"),
        (Status.PROCESSING, "api_stop"),
        (Status.READY, "file_verified"),
    ]
    assert ready.stopped_at == LATER


def test_a_stop_is_refused_once_stopped() -> None:
    with pytest.raises(TransitionNotAllowed):
        begun().stopped(at=LATER, cause="api_stop").stopped(at=LATER, cause="api_stop")


def test_old_news_gives_the_recording_itself() -> None:
    ready = (
        begun()
        .stopped(at=LATER, cause="api_stop")
        .stored(FILE, duration_seconds=1, partial=False, at=LATER, cause="file_verified")
    )
    assert ready.ended(at=LATER, cause="capture_ended") is ready
    assert ready.failed(Failure("capture_failed", "lost"), at=LATER, cause="capture_failed") is ready


def test_a_recording_that_never_stopped_cannot_become_ready() -> None:
    running = begun()
    assert running.stored(FILE, duration_seconds=1, partial=False, at=LATER, cause="x") is running


def test_a_day_is_the_utc_date() -> None:
    assert day_of(datetime(2026, 1, 6, 23, 59, 59, tzinfo=UTC)) == "2026-01-06"


def test_a_tally_changes_by_what_the_recording_changes() -> None:
    stopped = begun().stopped(at=LATER, cause="api_stop")
    ready = stopped.stored(FILE, duration_seconds=1800, partial=False, at=LATER, cause="file_verified")

    assert difference(None, begun()) == {"total": 1, "status_recording": 1}
    assert difference(stopped, ready) == {"status_processing": -1, "status_ready": 1, "seconds": 1800, "bytes": 1000}
    assert difference(ready, ready) == {}
    assert difference(ready, None) == {"total": -1, "status_ready": -1, "seconds": -1800, "bytes": -1000}
    assert difference(ready, replace(ready, duration_seconds=1801)) == {"seconds": 1}
