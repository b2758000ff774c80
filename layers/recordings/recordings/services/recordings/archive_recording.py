"""Send a recording to cold storage: the answer comes at once, the bytes move in a workflow."""

from dataclasses import dataclass

from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.ports.executions import ArchivingExecutions
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import MAX_ATTEMPTS, start_now_or_by_sync


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecording:
    """The move is stored before its execution starts. If we die between the two, the next sync starts it."""

    recordings: Recordings
    runs: ArchivingExecutions
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Raises RecordingNotFound, RecordingNotArchivable or ConcurrentUpdate; then nothing moves."""
        stored = self._stored(tenant_id, recording_id)
        if stored.moving:
            start_now_or_by_sync(lambda: self.runs.start(stored))
        return stored

    def _stored(self, tenant_id: str, recording_id: str) -> Recording:
        before = self.recordings.get(tenant_id, recording_id)
        for attempt in range(MAX_ATTEMPTS):
            after = before.archiving(at=self.clock())
            try:
                self.recordings.save(before, after)
                return after
            except ConcurrentUpdate:
                if attempt == MAX_ATTEMPTS - 1:
                    raise
            before = self.recordings.get(tenant_id, recording_id)
            if before.status is Status.ARCHIVED and before.archive_attempt == after.archive_attempt:
                # A call made at the same moment stored just this.
                return before
        raise AssertionError("unreachable: the last try returns or raises")
