"""Start a new attempt at a recording whose processing is stuck."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, ProviderFailure
from recordings.domain.reconciliation import Action, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import MAX_ATTEMPTS

# Calls within this time start one new execution together.
SAME_CALL: Final = timedelta(seconds=10)
# A person asks for the recovery, so there is no wait for an earlier stop.
NO_WAIT: Final = Deadlines(stop=timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRecording:
    """Stores the new attempt first, so the old execution finds itself replaced and stores nothing more.

    The execution decides about the file. Only a recording that Cloudflare still records long after its stop is stopped
    here, because the execution could only wait for it.
    """

    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Return the recording with its new attempt.

        Raises:
            RecordingNotFound: it does not exist, or is deleted
            RecordingNotRecoverable: its status is not `processing`, or Cloudflare has no recording
            ConcurrentUpdate: other calls changed it at the same time
            Throttled: DynamoDB or Step Functions is busy or does not respond
        """
        for attempt in range(MAX_ATTEMPTS):
            before = self.recordings.get(tenant_id, recording_id)
            now = self.clock()
            after = before.recovered(at=now)
            if before.recovered_at is not None and now - before.recovered_at < SAME_CALL:
                # The call that stored this attempt may have died before it started the execution.
                self.executions.start(before)
                return before
            try:
                after = self.recordings.save(before, after)
            except ConcurrentUpdate:
                if attempt == MAX_ATTEMPTS - 1:
                    raise
                continue
            self.executions.replace(before, after)
            self._stop_again(before, now)
            return after
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _stop_again(self, recording: Recording, now: datetime) -> None:
        if recording.cloudflare_recording_id is None:
            return
        try:
            provider_recording = self.provider.get(recording.cloudflare_recording_id)
            if reconcile(recording, provider_recording, now=now, deadlines=NO_WAIT).action is Action.STOP:
                self.provider.stop(recording.cloudflare_recording_id)
        except ProviderFailure:
            # The execution has started, and compares with Cloudflare itself.
            pass
