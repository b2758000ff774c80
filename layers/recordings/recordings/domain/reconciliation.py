"""What to do about a recording in our table and the same recording at Cloudflare.

    table \\ Cloudflare  running     finishing   file available   errored, no file   ended, no file   not found
    (none)              import ⁸    import ⁸    import           import as failed   import ⁷         nothing
    recording           nothing ¹   end         end              fail               end              nothing ⁶
    processing          run ²       run ³       run ⁴            fail               nothing ⁶        nothing ⁶
    ready               nothing     nothing     nothing          nothing            nothing          nothing
    archived            nothing     nothing     nothing          nothing            nothing          nothing
    failed              stop ⁵      nothing     nothing          nothing            nothing          nothing

    ¹ stop if a stop was decided and Cloudflare still records, if the session has ended, or if Cloudflare accepted the
      recording long ago and never began it. Such a recording may stay forever and lock the room, so fail ⁶ if the stop
      has no effect. End if it runs longer than Cloudflare can record.
    ² stop again if the stop is old and Cloudflare still records. Fail ⁶ if it never began, or still records when its
      file would have expired.
    ³ fail ⁶ if the upload is older than Cloudflare keeps a file. Nothing if the execution has given up.
    ⁴ restart if the execution has given up or died, after a pause and a limited number of times (domain/admission.py).
    ⁵ we gave it up, and it would lock the room. Nothing if its failure is that the file is lost or expired: a running
      recording disproves that, and our mistake must not end a meeting's recording.
    ⁶ fail if a second response confirms it, see below.
    ⁷ its execution checks again. Import as failed if it ended longer ago than Cloudflare keeps a file.
    ⁸ nothing for a track recording. It records participants and not the meeting, so it must not lock the room. After
      its end it is imported as failed, and the failure says why there is no file.

**A second response.** Reads from Cloudflare may lag or arrive out of order, URLs may come late, and times may be
missing. So one response without a recording, a URL, a beginning or an end of the upload proves nothing. The first one
is stored as `missing_since`. It counts if the recording is old enough and a second response, long enough after it, says
the same. Any other response in between resets it. Two responses are final at once: Cloudflare calls the recording
errored and has no file, or it names several files (a track recording). Our own bucket is always checked first.

No transition leads back, so an outdated response changes nothing. The webhook, the sync of a room, the scheduled sync,
the processing workflow, the audit and recover all decide here.
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


class Action(StrEnum):
    NOTHING = "nothing"
    IMPORT = "import"
    END = "end"
    RUN = "run"
    RESTART = "restart"
    STOP = "stop"
    FAIL = "fail"


# The actions for a recording that is as it should be. With RUN its execution is running, or starts if it is not.
SETTLED: Final = frozenset({Action.NOTHING, Action.RUN})
# The metric that counts an action of the sync.
METRICS: Final[Mapping[Action, str]] = MappingProxyType(
    {
        Action.IMPORT: "RecordingsImported",
        Action.END: "RecordingsEndedBySync",
        Action.RESTART: "ExecutionsRestarted",
        Action.STOP: "StopsRepeated",
        Action.FAIL: "RecordingsGivenUp",
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. `failure` is set for FAIL, and for an IMPORT of a recording whose file is lost.

    `missing_since` is the new value of the recording's field of this name.
    """

    action: Action
    failure: Failure | None = None
    missing_since: datetime | None = None


class FileState(StrEnum):
    RUNNING = "running"
    FINISHING = "finishing"
    THERE = "there"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class FileAssessment:
    """What one response of Cloudflare says about a file. `failure` is set if the file is gone, `settled` if for good.

    `missing_since` is the new value of the recording's field of this name.
    """

    state: FileState
    missing_since: datetime | None = None
    failure: Failure | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a temporary state may last before it counts as stuck."""

    begin: timedelta = timedelta(minutes=15)
    stop: timedelta = timedelta(minutes=5)
    # How long a recording runs before the first check of its session, and between two checks.
    session: timedelta = timedelta(minutes=30)
    # Cloudflare records for 24 hours at most (RealtimeKit, recording-guide/stop-recording), and takes a while to end.
    longest: timedelta = timedelta(hours=24, minutes=15)
    # Cloudflare keeps a file for seven days (RealtimeKit, data-retention).
    upload: timedelta = timedelta(days=7)
    # The minimum age of a recording, and the minimum time between two responses, that prove that there will be no file.
    second_look: timedelta = timedelta(minutes=10)
    attempts: AttemptLimits = field(default_factory=AttemptLimits)


def file_state(provider_recording: ProviderRecording | None, *, delivered: bool, now: datetime) -> FileState:
    """Return where the file is. `delivered`: it is in our bucket. None: Cloudflare does not know the recording."""
    if delivered:
        return FileState.THERE
    if provider_recording is None:
        return FileState.GONE
    if provider_recording.status.running:
        return FileState.RUNNING
    if provider_recording.status is ProviderStatus.UPLOADING:
        return FileState.FINISHING
    expired = provider_recording.expires_at is not None and provider_recording.expires_at <= now
    return FileState.THERE if provider_recording.download_url is not None and not expired else FileState.GONE


def why_gone(provider_recording: ProviderRecording | None) -> Failure:
    """Return the failure of a recording whose file is gone."""
    if provider_recording is not None and provider_recording.tracks:
        return TRACKS
    uploaded = provider_recording is not None and provider_recording.status is ProviderStatus.UPLOADED
    return EXPIRED if uploaded else LOST


def assess_file(
    recording: Recording,
    provider_recording: ProviderRecording | None,
    *,
    now: datetime,
    delivered: bool = False,
    deadlines: Deadlines,
) -> FileAssessment:
    """Return where the file is and, if it is gone, whether that is settled."""
    state = file_state(provider_recording, delivered=delivered, now=now)
    if state is not FileState.GONE:
        return FileAssessment(state)
    settled = _is_final(provider_recording) or _is_confirmed(recording, now, deadlines)
    return FileAssessment(state, recording.missing_since or now, why_gone(provider_recording), settled)


def _is_final(provider_recording: ProviderRecording | None) -> bool:
    """Return whether Cloudflare says that there is no file, and does not merely omit it."""
    if provider_recording is None:
        return False
    return provider_recording.status is ProviderStatus.ERRORED or provider_recording.tracks


def _is_confirmed(recording: Recording, now: datetime, deadlines: Deadlines) -> bool:
    """Return whether a negative response at this time confirms an earlier one, and the recording is old enough."""
    age = now - (recording.stopped_at or recording.started_at)
    since = recording.missing_since
    return since is not None and min(age, now - since) >= deadlines.second_look


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """A recording in our table beside the same recording at Cloudflare."""

    recording: Recording
    provider_recording: ProviderRecording | None
    assessment: FileAssessment
    now: datetime
    delivered: bool
    deadlines: Deadlines

    @property
    def is_invoked(self) -> bool:
        """Whether Cloudflare has accepted the recording and not begun it."""
        return self.provider_recording is not None and self.provider_recording.status is ProviderStatus.INVOKED

    def fail_if_confirmed(self, failure: Failure, *, otherwise: Action) -> Decision:
        since = self.recording.missing_since or self.now
        if _is_confirmed(self.recording, self.now, self.deadlines):
            return Decision(Action.FAIL, failure, since)
        return Decision(otherwise, missing_since=since)

    def fail_if_settled(self) -> Decision:
        found = self.assessment
        if found.settled:
            return Decision(Action.FAIL, found.failure, found.missing_since)
        return Decision(Action.NOTHING, missing_since=found.missing_since)


def reconcile(
    recording: Recording | None,
    provider_recording: ProviderRecording | None,
    *,
    now: datetime,
    delivered: bool = False,
    is_running: bool = True,
    session_ended_at: datetime | None = None,
    deadlines: Deadlines = Deadlines(),  # frozen
) -> Decision:
    """Return what to do. Pass None for a recording that the table or Cloudflare does not have.

    `delivered`: the file is in our bucket. `is_running`: the execution of this attempt may be running.
    `session_ended_at`: when the session ended, if Cloudflare says that it has.
    """
    if recording is None:
        return _decide_unknown(provider_recording, now, delivered, deadlines)
    comparison = _Comparison(
        recording=recording,
        provider_recording=provider_recording,
        assessment=assess_file(recording, provider_recording, now=now, delivered=delivered, deadlines=deadlines),
        now=now,
        delivered=delivered,
        deadlines=deadlines,
    )
    match recording.status:
        case Status.RECORDING:
            session_over = session_ended_at is not None and now - session_ended_at > deadlines.stop
            return _decide_recording(comparison, session_over=session_over)
        case Status.PROCESSING:
            return _decide_processing(comparison, is_running=is_running and not recording.stalled)
        case Status.FAILED if comparison.assessment.state is FileState.RUNNING and not _is_disproved(recording):
            return Decision(Action.STOP)
        case _:
            return Decision(Action.NOTHING)


def _is_disproved(recording: Recording) -> bool:
    """Return whether a running recording shows that the stored failure is wrong."""
    return recording.failure is not None and recording.failure.code in {LOST.code, EXPIRED.code}


def _decide_unknown(
    provider_recording: ProviderRecording | None, now: datetime, delivered: bool, deadlines: Deadlines
) -> Decision:
    """Decide about a recording that is not in our table."""
    if provider_recording is None:
        return Decision(Action.NOTHING)
    state = file_state(provider_recording, delivered=delivered, now=now)
    if provider_recording.tracks and state in {FileState.RUNNING, FileState.FINISHING}:
        return Decision(Action.NOTHING)
    if state is not FileState.GONE:
        return Decision(Action.IMPORT)
    if _is_final(provider_recording) or now - provider_recording.ended_at > deadlines.upload:
        return Decision(Action.IMPORT, why_gone(provider_recording))
    return Decision(Action.IMPORT)


def _decide_recording(comparison: _Comparison, *, session_over: bool) -> Decision:
    match comparison.assessment.state:
        case FileState.RUNNING:
            return _decide_running(comparison, session_over=session_over)
        case FileState.GONE if comparison.provider_recording is None or comparison.assessment.settled:
            return comparison.fail_if_settled()
        case _:
            # It has ended, whatever the response says about its file.
            return Decision(Action.END)


def _decide_running(comparison: _Comparison, *, session_over: bool) -> Decision:
    """Decide about a recording that runs at Cloudflare and in our table."""
    recording, deadlines = comparison.recording, comparison.deadlines
    age = comparison.now - recording.started_at
    stop_requested = recording.stop_requested_at is not None
    if comparison.is_invoked:
        if age > 2 * deadlines.begin:
            return comparison.fail_if_confirmed(NEVER_BEGAN, otherwise=Action.STOP)
        return Decision(Action.STOP if age > deadlines.begin or stop_requested else Action.NOTHING)
    if age > deadlines.longest:
        return Decision(Action.END)
    return Decision(Action.STOP if session_over or stop_requested else Action.NOTHING)


def _decide_processing(comparison: _Comparison, *, is_running: bool) -> Decision:
    recording, deadlines = comparison.recording, comparison.deadlines
    waited = comparison.now - (recording.stopped_at or recording.started_at)
    match comparison.assessment.state:
        case FileState.RUNNING:
            if comparison.is_invoked and waited > deadlines.begin:
                return comparison.fail_if_confirmed(NEVER_BEGAN, otherwise=Action.STOP)
            if waited > deadlines.upload:
                return comparison.fail_if_confirmed(NEVER_UPLOADED, otherwise=Action.STOP)
            return Decision(Action.STOP if waited > deadlines.stop else Action.RUN)
        case FileState.FINISHING:
            otherwise = Action.RUN if is_running else Action.NOTHING
            if waited > deadlines.upload:
                return comparison.fail_if_confirmed(NEVER_UPLOADED, otherwise=otherwise)
            return Decision(otherwise)
        case FileState.THERE:
            return Decision(Action.RUN) if is_running else _decide_next_attempt(comparison)
        case FileState.GONE:
            return comparison.fail_if_settled()


def _decide_next_attempt(comparison: _Comparison) -> Decision:
    """Decide what follows an attempt that failed or died while there is a file, in our bucket or at Cloudflare."""
    recording, limits, delivered = comparison.recording, comparison.deadlines.attempts, comparison.delivered
    if may_restart(recording, now=comparison.now, limits=limits, last_chance=delivered):
        return Decision(Action.RESTART)
    if delivered and recording.automatic_attempts > limits.max_attempts:
        return Decision(Action.FAIL, why_gone(comparison.provider_recording))
    return Decision(Action.NOTHING)
