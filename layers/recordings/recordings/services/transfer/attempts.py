"""Which attempt a recording is at, and how far its copy is.

An execution whose attempt was replaced, or whose recording has its file, must change nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.errors import AttemptReplaced, RecordingNotFound, Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Progress, Recording
from recordings.domain.transfer import MAX_CONCURRENT_SEGMENTS, Attempt, TransferPlan
from recordings.ports.repositories import Recordings
from recordings.services.recordings.change_recording import changed

# How long MAX_CONCURRENT_SEGMENTS segments may take together, retries included.
SEGMENT_ROUND: Final = timedelta(minutes=15)

# Returns the recording of an attempt, or raises AttemptReplaced.
type GetCurrent = Callable[[Recordings, Attempt], Recording]
# Receives the recording that a service has stored, for a metric.
type OnStored = Callable[[Recording], object]


def is_waiting(recording: Recording, attempt: Attempt) -> bool:
    """Whether the recording waits for the file of this attempt."""
    return recording.status in {Status.RECORDING, Status.PROCESSING} and recording.attempt == attempt.attempt


def get_waiting(recordings: Recordings, attempt: Attempt) -> Recording:
    """Read the recording that waits for the file of this attempt.

    Raises:
        AttemptReplaced: it no longer waits, or waits for another attempt
        RecordingNotFound: it was purged
    """
    recording = recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
    if not is_waiting(recording, attempt):
        raise AttemptReplaced(f"attempt {attempt.attempt} is over")
    return recording


def get_moving(recordings: Recordings, attempt: Attempt) -> Recording:
    """Read the recording that this attempt moves to the archive.

    Raises:
        AttemptReplaced: the move is over, or another attempt has replaced this one
        RecordingNotFound: it was purged
    """
    recording = recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
    if not recording.moving or recording.archive_attempt != attempt.attempt:
        raise AttemptReplaced(f"move {attempt.attempt} is over")
    return recording


def ignore_stored(recording: Recording) -> None:
    """Default for `on_stored`: do nothing."""


def save_result(
    recordings: Recordings,
    attempt: Attempt,
    change: Callable[[Recording], Recording],
    *,
    on_stored: OnStored = ignore_stored,
) -> Recording:
    """Change the recording, unless another attempt has replaced this one. Return the recording as it is then.

    `on_stored` receives the recording if this call has stored a change.

    Raises:
        ConcurrentUpdate: others changed the recording each time
    """
    return changed(
        recordings,
        lambda: recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id),
        lambda recording: change(recording) if recording.attempt == attempt.attempt else recording,
        on_stored=on_stored,
    )


def initial_progress(plan: TransferPlan, attempt: int, now: datetime) -> Progress:
    """Return the progress of a copy that begins now, with the time by which it must be complete."""
    rounds = -(-len(plan.segments) // MAX_CONCURRENT_SEGMENTS)
    return Progress(
        step="checking" if plan.present else "copying",
        attempt=attempt,
        bytes_done=0,
        bytes_total=plan.size,
        stuck_after=now + SEGMENT_ROUND * rounds,
    )


def add_progress(recordings: Recordings, attempt: Attempt, copied_bytes: int, *, get_current: GetCurrent) -> None:
    """Add to the progress of an attempt.

    Does nothing if the attempt is over, or if the table is busy: a copy must not fail because of a number.
    """
    try:
        get_current(recordings, attempt)
    except (AttemptReplaced, RecordingNotFound, Throttled):
        return
    recordings.add_progress(attempt.tenant_id, attempt.recording_id, attempt=attempt.attempt, copied=copied_bytes)
