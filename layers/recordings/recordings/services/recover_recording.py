"""Start a stuck recording's processing anew."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.recording import Recording
from recordings.ports import Clock, Recordings, Workflow
from recordings.services.change_recording import TRIES

# Calls that come together ask for one new run, not for one each.
SAME: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRecording:
    """The new attempt is stored first: the old run finds itself outdated and stores nothing more."""

    recordings: Recordings
    workflow: Workflow
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
            return after
        raise AssertionError("unreachable: the last try returns or raises")
