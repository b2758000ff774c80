"""Delete a recording so that it can come back, and bring it back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, RecordingNotFound
from recordings.domain.recording import Recording
from recordings.ports import Clock, Recordings

TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording:
    recordings: Recordings
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """Raises RecordingNotFound, RecordingInProgress or ConcurrentUpdate."""

        def change() -> tuple[Recording, Recording]:
            before = self.recordings.get(tenant_id, recording_id)
            return before, before.deleted(at=self.clock())

        return _saved(self.recordings, change)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeleteRecording:
    recordings: Recordings

    def __call__(self, *, tenant_id: str, recording_id: str) -> Recording:
        """One that is not deleted is given as it is. Raises RecordingNotFound or ConcurrentUpdate."""

        def change() -> tuple[Recording, Recording]:
            before = self.recordings.find(tenant_id, recording_id)
            return before, before.undeleted()

        return _saved(self.recordings, change)


def _saved(recordings: Recordings, change: Callable[[], tuple[Recording, Recording]]) -> Recording:
    """Change what is stored, reading anew when somebody else was faster."""
    for attempt in range(TRIES):
        before, after = change()
        try:
            recordings.save(before, after)
            return after
        except ConcurrentUpdate:
            if attempt == TRIES - 1:
                raise
    raise RecordingNotFound("unreachable: the last try returns or raises")
