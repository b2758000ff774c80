"""Send a recording to cold storage: the answer comes at once, the bytes move in a workflow."""

from dataclasses import dataclass

from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports import ArchiveRuns, Clock, Recordings
from recordings.services.change_recording import TRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecording:
    """The run is started before the change is stored: if we die between the two, the run stores it itself."""

    recordings: Recordings
    runs: ArchiveRuns
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Raises RecordingNotFound, RecordingNotArchivable or ConcurrentUpdate."""
        for attempt in range(TRIES):
            before = self.recordings.get(tenant_id, recording_id)
            after = before.archiving(at=self.clock())
            self.runs.start(after)
            try:
                self.recordings.save(before, after)
                return after
            except ConcurrentUpdate:
                stored = self.recordings.get(tenant_id, recording_id)
                if stored.status is Status.ARCHIVED and stored.archive_attempt == after.archive_attempt:
                    # The run, or a call made at the same moment, stored just this.
                    return stored
                if attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable: the last try returns or raises")
