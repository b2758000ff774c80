"""Go on with what was decided about an archived recording, where whoever was at it may have died."""

from dataclasses import dataclass

from recordings.domain.errors import RetrievalRefused
from recordings.domain.recording import Recording
from recordings.ports.executions import ArchivingExecutions
from recordings.ports.repositories import DownloadLinks, Recordings
from recordings.ports.storage import ArchiveStore
from recordings.ports.system import Clock
from recordings.services.recordings.restore_recording import RequestCopy
from recordings.services.transfer.move_to_archive import Deletable, EmptySource


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeArchive:
    """A move without a live execution, a copy that was never asked for, a file in R2 that no URL needs any more."""

    recordings: Recordings
    archiving: ArchivingExecutions
    vault: ArchiveStore
    source: Deletable
    links: DownloadLinks
    clock: Clock

    def __call__(self, recording: Recording) -> bool:
        """Give whether something was done. Safe to repeat. Raises Throttled or ConcurrentUpdate."""
        archive = recording.archive
        if archive is None or not recording.archive_overdue(self.clock()):
            return False
        if recording.moving:
            return self.archiving.restart(recording)
        if archive.pending_since is not None:
            try:
                recording = RequestCopy(recordings=self.recordings, vault=self.vault)(recording)
            except RetrievalRefused:
                # The tier has no room now; the next sync asks again.
                return False
            return True
        empty = EmptySource(recordings=self.recordings, source=self.source, links=self.links, clock=self.clock)
        return empty(recording)
