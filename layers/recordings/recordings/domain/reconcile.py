"""What to do when our recording and Cloudflare's capture are laid side by side.

    ours \\ theirs   running          finishing     file there     file gone (or capture unknown)
    (none)          import           import        import         import as failed
    recording       nothing ¹        end           end            fail
    processing      run ²            run ³         run ⁴          fail
    ready           nothing          nothing       nothing        nothing
    archived        nothing          nothing       nothing        nothing
    failed          stop ⁵           nothing       nothing        nothing

    ¹ stop, when it was asked for long ago and has never begun (it may stay so for ever and hold the room), and fail,
      when that did not help; stop, when its session is over; end, when it runs longer than Cloudflare can record
    ² stop again, when the stop is old and Cloudflare records on; fail, when it never began at all, or still records
      when its file would be gone
    ³ fail, when the upload is older than Cloudflare keeps a file; nothing, when the run has given up
    ⁴ restart, when the run has given up or died
    ⁵ given up by us, it would hold the room

Old news changes nothing: no row leads back. A webhook, a room's sync, the scheduled sync and recover all ask here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from recordings.domain.capture import Capture, CaptureStatus
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Recording

LOST: Final = Failure("capture_failed", "Cloudflare lost the recording; there is no file of it.")
EXPIRED: Final = Failure("file_expired", "Cloudflare's copy expired before it could be fetched.")
NEVER_BEGAN: Final = Failure("never_started", "Cloudflare accepted the recording and never began it.")
NEVER_UPLOADED: Final = Failure("upload_never_finished", "Cloudflare never finished uploading the recording.")


class Act(StrEnum):
    NOTHING = "nothing"
    IMPORT = "import"
    END = "end"
    RUN = "run"
    RESTART = "restart"
    STOP = "stop"
    FAIL = "fail"


# What a comparison may say of a recording that is as it should be: a run that is due is at work.
SETTLED: Final = frozenset({Act.NOTHING, Act.RUN})
# What each act is counted as when the sync carries it out.
METRICS: Final[Mapping[Act, str]] = MappingProxyType(
    {
        Act.IMPORT: "CapturesImported",
        Act.END: "EndsFound",
        Act.RESTART: "RunsRestarted",
        Act.STOP: "StopsRepeated",
        Act.FAIL: "RecordingsGivenUp",
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The act, and the failure to store with a FAIL or the import of what is lost."""

    act: Act
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """After these a state that should pass counts as stuck."""

    begin: timedelta = timedelta(minutes=15)
    stop: timedelta = timedelta(minutes=5)
    # How long a recording runs before its session is asked after, and between two times.
    session: timedelta = timedelta(minutes=30)
    # Cloudflare records for 24 hours at most (RealtimeKit, recording-guide/stop-recording), and its end takes a while.
    longest: timedelta = timedelta(hours=24, minutes=15)
    # Cloudflare keeps a file for seven days (RealtimeKit, data-retention).
    upload: timedelta = timedelta(days=7)


class FileState(StrEnum):
    RUNNING = "running"
    FINISHING = "finishing"
    THERE = "there"
    GONE = "gone"


def file_state(capture: Capture | None, *, delivered: bool, now: datetime) -> FileState:
    """Where a capture's file is. `delivered`: it lies in our own bucket. None: Cloudflare knows no such capture."""
    if delivered:
        return FileState.THERE
    if capture is None:
        return FileState.GONE
    if capture.status.running:
        return FileState.RUNNING
    if capture.status is CaptureStatus.UPLOADING:
        return FileState.FINISHING
    expired = capture.url_expires_at is not None and capture.url_expires_at <= now
    return FileState.THERE if capture.download_url is not None and not expired else FileState.GONE


def why_gone(capture: Capture | None) -> Failure:
    """The failure that fits a file which is gone."""
    return EXPIRED if capture is not None and capture.status is CaptureStatus.UPLOADED else LOST


def reconcile(
    ours: Recording | None,
    theirs: Capture | None,
    *,
    now: datetime,
    delivered: bool = False,
    run_alive: bool = True,
    session_ended_at: datetime | None = None,
    deadlines: Deadlines = Deadlines(),  # frozen
) -> Verdict:
    """Say what to do. `run_alive`: whether the run of this attempt may still be at work. `session_ended_at`: when the
    capture's session ended, if Cloudflare says that it has."""
    state = file_state(theirs, delivered=delivered, now=now)
    if ours is None:
        if theirs is None:
            return Verdict(Act.NOTHING)
        return Verdict(Act.IMPORT, why_gone(theirs) if state is FileState.GONE else None)
    match ours.status:
        case Status.RECORDING:
            over = session_ended_at is not None and now - session_ended_at > deadlines.stop
            return _while_recording(state, ours, theirs, now, over, deadlines)
        case Status.PROCESSING:
            return _while_processing(state, ours, theirs, now, run_alive and not ours.stalled, deadlines)
        case Status.FAILED if state is FileState.RUNNING:
            return Verdict(Act.STOP)
        case _:
            return Verdict(Act.NOTHING)


def _while_recording(
    state: FileState, ours: Recording, theirs: Capture | None, now: datetime, over: bool, deadlines: Deadlines
) -> Verdict:
    age = now - ours.started_at
    match state:
        case FileState.RUNNING:
            assert theirs is not None
            if theirs.status is CaptureStatus.INVOKED:
                if age > 2 * deadlines.begin:
                    return Verdict(Act.FAIL, NEVER_BEGAN)
                return Verdict(Act.STOP if age > deadlines.begin else Act.NOTHING)
            if age > deadlines.longest:
                return Verdict(Act.END)
            return Verdict(Act.STOP if over else Act.NOTHING)
        case FileState.GONE:
            return Verdict(Act.FAIL, why_gone(theirs))
        case _:
            return Verdict(Act.END)


def _while_processing(
    state: FileState, ours: Recording, theirs: Capture | None, now: datetime, alive: bool, deadlines: Deadlines
) -> Verdict:
    waited = now - (ours.stopped_at or ours.started_at)
    match state:
        case FileState.RUNNING:
            assert theirs is not None
            if theirs.status is CaptureStatus.INVOKED and waited > deadlines.begin:
                return Verdict(Act.FAIL, NEVER_BEGAN)
            if waited > deadlines.upload:
                return Verdict(Act.FAIL, NEVER_UPLOADED)
            return Verdict(Act.STOP if waited > deadlines.stop else Act.RUN)
        case FileState.FINISHING:
            if waited > deadlines.upload:
                return Verdict(Act.FAIL, NEVER_UPLOADED)
            return Verdict(Act.RUN if alive else Act.NOTHING)
        case FileState.THERE:
            return Verdict(Act.RUN if alive else Act.RESTART)
        case FileState.GONE:
            return Verdict(Act.FAIL, why_gone(theirs))
