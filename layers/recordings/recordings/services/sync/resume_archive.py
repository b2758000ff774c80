"""Resume what was decided about an archived recording and not carried out, because the function or execution died."""

from dataclasses import dataclass

from recordings.domain.errors import RetrievalRefused
from recordings.domain.recording import Recording
from recordings.ports.executions import ArchivingExecutions
from recordings.ports.repositories import DownloadLinks, Recordings
from recordings.ports.storage import ArchiveStore, ObjectStore
from recordings.ports.system import Clock
from recordings.services.recordings.restore_recording import RequestRestore
from recordings.services.transfer.archive import DeleteMovedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeArchive:
    """Resumes a move without an execution, a restore that S3 has not received, and a deletion in R2."""

    recordings: Recordings
    archiving: ArchivingExecutions
    store: ObjectStore
    archive: ArchiveStore
    links: DownloadLinks
    clock: Clock

    def __call__(self, recording: Recording) -> bool:
        """Return whether something was done. Safe to repeat.

        Raises:
            ConcurrentUpdate: another call changed the recording
            Throttled: DynamoDB, Step Functions or a bucket is busy or does not respond
        """
        archive = recording.archive
        if archive is None or not recording.archive_overdue(self.clock()):
            return False
        if recording.moving:
            return self.archiving.restart(recording)
        if archive.pending_since is not None:
            try:
                RequestRestore(recordings=self.recordings, archive=self.archive)(recording)
            except RetrievalRefused:
                # The tier has no capacity now. The next sync requests the copy again.
                return False
            return True
        delete_source = DeleteMovedFile(
            recordings=self.recordings, store=self.store, links=self.links, clock=self.clock
        )
        return delete_source(recording)
