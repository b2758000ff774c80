"""What to do when our recording and Cloudflare's capture are laid side by side.

    ours \\ theirs   running     finishing   file there   errored, no file   ended, no file   unknown to Cloudflare
    (none)          import ⁸    import ⁸    import       import as failed   import ⁷         nothing
    recording       nothing ¹   end         end          fail               end              nothing ⁶
    processing      run ²       run ³       run ⁴        fail               nothing ⁶        nothing ⁶
    ready           nothing     nothing     nothing      nothing            nothing          nothing
    archived        nothing     nothing     nothing      nothing            nothing          nothing
    failed          stop ⁵      nothing     nothing      nothing            nothing          nothing

    ¹ stop, when a stop was decided and Cloudflare has not heeded it, when its session is over, or when it was asked for
      long ago and has never begun (it may stay so for ever and hold the room), and fail ⁶, when that did not help; end,
      when it runs longer than Cloudflare can record
    ² stop again, when the stop is old and Cloudflare records on; fail ⁶, when it never began at all, or still records
      when its file would be gone
    ³ fail ⁶, when the upload is older than Cloudflare keeps a file; nothing, when the run has given up
    ⁴ restart, when the run has given up or died, after a pause and not without end (domain/admission.py)
    ⁵ given up by us, it would hold the room. Nothing, when we had called its file lost or expired: that it runs
      refutes that, and nobody's meeting is cut off for a mistake of ours
    ⁶ fail, when a second answer confirms it: see below
    ⁷ and looked at again by its run; as failed, when it ended longer ago than Cloudflare keeps a file
    ⁸ nothing, when it is a track recording: it records participants, not the meeting, so it must not take the room.
      Once it has ended it is imported as failed, which says why there is no file

**A second look.** Reads of Cloudflare may lag or come in another order, URLs may come late, and times may not be set.
So one answer that there is no recording, no URL any more, no beginning or no end to the upload settles nothing. The
first one is noted (`missing_since`). It counts when the recording is old enough and another one, long enough after it,
says so too; any answer in between that says otherwise takes it back. Two things are final at once, because Cloudflare
says them of its own accord and does not merely lack something: it calls the recording errored and has no file of it, or
it names several files (a track recording). Our own bucket is always looked into before.

Old news changes nothing: no row leads back. A webhook, a room's sync, the scheduled sync, the processing workflow, the
audit and recover all ask here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from recordings.domain.admission import AttemptLimits, may_restart
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.recording import Failure, Recording

LOST: Final = Failure("capture_failed", "Cloudflare lost the recording; there is no file of it.")
EXPIRED: Final = Failure("file_expired", "Cloudflare's copy expired before it could be fetched.")
TRACKS: Final = Failure(
    "track_recording", "Cloudflare recorded separate tracks. Only a recording of the whole meeting can be stored."
)
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
    """The act, the failure to store with a FAIL or the import of what is lost, and what `missing_since` is from now."""

    act: Act
    failure: Failure | None = None
    missing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What an answer of Cloudflare says of a file. `failure` is why there is none, `settled` whether that is final."""

    state: "FileState"
    missing_since: datetime | None = None
    failure: Failure | None = None
    settled: bool = False


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
    # How old a recording must be, and how far apart two answers, before they settle that there will be no file.
    second_look: timedelta = timedelta(minutes=10)
    attempts: AttemptLimits = field(default_factory=AttemptLimits)


class FileState(StrEnum):
    RUNNING = "running"
    FINISHING = "finishing"
    THERE = "there"
    GONE = "gone"


def file_state(capture: ProviderRecording | None, *, delivered: bool, now: datetime) -> FileState:
    """Where a capture's file is. `delivered`: it lies in our own bucket. None: Cloudflare knows no such capture."""
    if delivered:
        return FileState.THERE
    if capture is None:
        return FileState.GONE
    if capture.status.running:
        return FileState.RUNNING
    if capture.status is ProviderStatus.UPLOADING:
        return FileState.FINISHING
    expired = capture.expires_at is not None and capture.expires_at <= now
    return FileState.THERE if capture.download_url is not None and not expired else FileState.GONE


def why_gone(capture: ProviderRecording | None) -> Failure:
    """The failure that fits a file which is gone."""
    if capture is not None and capture.tracks:
        return TRACKS
    return EXPIRED if capture is not None and capture.status is ProviderStatus.UPLOADED else LOST


def weigh(
    ours: Recording, theirs: ProviderRecording | None, *, now: datetime, delivered: bool = False, deadlines: Deadlines
) -> News:
    """Say where the file is, and if nowhere, whether that is settled."""
    state = file_state(theirs, delivered=delivered, now=now)
    if state is not FileState.GONE:
        return News(state)
    settled = _is_final(theirs) or _is_confirmed(ours, now, deadlines)
    return News(state, ours.missing_since or now, why_gone(theirs), settled)


def _is_final(theirs: ProviderRecording | None) -> bool:
    """Whether Cloudflare says by itself that there is no file, and will be none."""
    return theirs is not None and (theirs.status is ProviderStatus.ERRORED or theirs.tracks)


def _is_confirmed(ours: Recording, now: datetime, deadlines: Deadlines) -> bool:
    """Whether a negative answer at this time is the second one, of a recording that is old enough."""
    age = now - (ours.stopped_at or ours.started_at)
    since = ours.missing_since
    return since is not None and min(age, now - since) >= deadlines.second_look


def reconcile(
    ours: Recording | None,
    theirs: ProviderRecording | None,
    *,
    now: datetime,
    delivered: bool = False,
    run_alive: bool = True,
    session_ended_at: datetime | None = None,
    deadlines: Deadlines = Deadlines(),  # frozen
) -> Verdict:
    """Say what to do. `run_alive`: whether the run of this attempt may still be at work. `session_ended_at`: when the
    capture's session ended, if Cloudflare says that it has."""
    if ours is None:
        return _of_unknown(theirs, now, delivered, deadlines)
    news = weigh(ours, theirs, now=now, delivered=delivered, deadlines=deadlines)
    match ours.status:
        case Status.RECORDING:
            over = session_ended_at is not None and now - session_ended_at > deadlines.stop
            return _while_recording(news, ours, theirs, now, over, deadlines)
        case Status.PROCESSING:
            alive = run_alive and not ours.stalled
            return _while_processing(news, ours, theirs, now, alive, delivered, deadlines)
        case Status.FAILED if news.state is FileState.RUNNING and not _is_refuted(ours):
            return Verdict(Act.STOP)
        case _:
            return Verdict(Act.NOTHING)


def _is_refuted(ours: Recording) -> bool:
    """Whether a capture that runs proves that we should not have given it up."""
    return ours.failure is not None and ours.failure.code in {LOST.code, EXPIRED.code}


def _of_unknown(theirs: ProviderRecording | None, now: datetime, delivered: bool, deadlines: Deadlines) -> Verdict:
    """What becomes of a capture that no recording of ours belongs to."""
    if theirs is None:
        return Verdict(Act.NOTHING)
    state = file_state(theirs, delivered=delivered, now=now)
    if theirs.tracks and state in {FileState.RUNNING, FileState.FINISHING}:
        return Verdict(Act.NOTHING)
    if state is not FileState.GONE:
        return Verdict(Act.IMPORT)
    if _is_final(theirs) or now - theirs.ended_at > deadlines.upload:
        return Verdict(Act.IMPORT, why_gone(theirs))
    return Verdict(Act.IMPORT)


def _doubted(meanwhile: Act, failure: Failure, ours: Recording, now: datetime, deadlines: Deadlines) -> Verdict:
    """What to do upon an answer that there will be no file: to fail once it is confirmed, else `meanwhile`."""
    since = ours.missing_since or now
    if _is_confirmed(ours, now, deadlines):
        return Verdict(Act.FAIL, failure, since)
    return Verdict(meanwhile, missing_since=since)


def _gone(news: News, meanwhile: Act) -> Verdict:
    if news.settled:
        return Verdict(Act.FAIL, news.failure, news.missing_since)
    return Verdict(meanwhile, missing_since=news.missing_since)


def _while_recording(
    news: News, ours: Recording, theirs: ProviderRecording | None, now: datetime, over: bool, deadlines: Deadlines
) -> Verdict:
    age = now - ours.started_at
    match news.state:
        case FileState.RUNNING:
            assert theirs is not None
            if theirs.status is ProviderStatus.INVOKED:
                if age > 2 * deadlines.begin:
                    return _doubted(Act.STOP, NEVER_BEGAN, ours, now, deadlines)
                return Verdict(Act.STOP if age > deadlines.begin or ours.stop_requested_at else Act.NOTHING)
            if age > deadlines.longest:
                return Verdict(Act.END)
            return Verdict(Act.STOP if over or ours.stop_requested_at else Act.NOTHING)
        case FileState.GONE if theirs is None or news.settled:
            return _gone(news, Act.NOTHING)
        case _:
            # That it has ended is no bad news, whatever is said of its file.
            return Verdict(Act.END)


def _while_processing(
    news: News,
    ours: Recording,
    theirs: ProviderRecording | None,
    now: datetime,
    alive: bool,
    delivered: bool,
    deadlines: Deadlines,
) -> Verdict:
    waited = now - (ours.stopped_at or ours.started_at)
    match news.state:
        case FileState.RUNNING:
            assert theirs is not None
            if theirs.status is ProviderStatus.INVOKED and waited > deadlines.begin:
                return _doubted(Act.STOP, NEVER_BEGAN, ours, now, deadlines)
            if waited > deadlines.upload:
                return _doubted(Act.STOP, NEVER_UPLOADED, ours, now, deadlines)
            return Verdict(Act.STOP if waited > deadlines.stop else Act.RUN)
        case FileState.FINISHING:
            meanwhile = Act.RUN if alive else Act.NOTHING
            if waited > deadlines.upload:
                return _doubted(meanwhile, NEVER_UPLOADED, ours, now, deadlines)
            return Verdict(meanwhile)
        case FileState.THERE:
            return Verdict(Act.RUN) if alive else _next_attempt(ours, theirs, now, delivered, deadlines)
        case FileState.GONE:
            return _gone(news, Act.NOTHING)


def _next_attempt(
    ours: Recording, theirs: ProviderRecording | None, now: datetime, delivered: bool, deadlines: Deadlines
) -> Verdict:
    """What follows an attempt that failed or died, while there is a file. `delivered`: only in our own bucket."""
    if may_restart(ours, now=now, limits=deadlines.attempts, last_chance=delivered):
        return Verdict(Act.RESTART)
    if delivered and ours.automatic_attempts > deadlines.attempts.max_attempts:
        return Verdict(Act.FAIL, why_gone(theirs))
    return Verdict(Act.NOTHING)
