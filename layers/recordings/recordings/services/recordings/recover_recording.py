"""Start a stuck recording's processing anew."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, ProviderFailure
from recordings.domain.reconciliation import Act, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import TRIES

# Calls that come together ask for one new run, not for one each.
SAME: Final = timedelta(seconds=10)
# Somebody asks: there is no waiting any more for a stop to be heeded.
AT_ONCE: Final = Deadlines(stop=timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRecording:
    """The new attempt is stored first: the old run finds itself outdated and stores nothing more.

    What the run will find is the run's to settle; only that Cloudflare still records, long after it was told to stop,
    is settled here: a run could only wait for it.
    """

    recordings: Recordings
    recorder: RecordingProvider
    workflow: ProcessingExecutions
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Raises RecordingNotFound, RecordingNotRecoverable or ConcurrentUpdate."""
        for attempt in range(TRIES):
            before = self.recordings.get(tenant_id, recording_id)
            now = self.clock()
            after = before.recovered(at=now)
            if before.recovered_at is not None and now - before.recovered_at < SAME:
                # Whoever made this attempt may have died before starting its run.
                self.workflow.start(before)
                return before
            try:
                self.recordings.save(before, after)
            except ConcurrentUpdate:
                if attempt == TRIES - 1:
                    raise
                continue
            self.workflow.replace(before, after)
            self._stop_again(before, now)
            return after
        raise AssertionError("unreachable: the last try returns or raises")

    def _stop_again(self, recording: Recording, now: datetime) -> None:
        if recording.cloudflare_recording_id is None:
            return
        try:
            theirs = self.recorder.get(recording.cloudflare_recording_id)
            if reconcile(recording, theirs, now=now, deadlines=AT_ONCE).act is Act.STOP:
                self.recorder.stop(recording.cloudflare_recording_id)
        except ProviderFailure:
            # The run is started, and looks for itself.
            pass
