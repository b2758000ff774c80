"""Return a URL that downloads a recording's file, and when it expires."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recordings.domain.errors import RecordingFailed, Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.media import file_extension
from recordings.domain.recording import Recording
from recordings.domain.stored_file import StoredFile
from recordings.ports.repositories import AccessLog, DownloadLinks, Recordings
from recordings.ports.storage import ArchiveStore, ObjectStore
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import MAX_ATTEMPTS
from recordings.services.recordings.restore_recording import RETRIEVAL_TIMES

# The noted end of a URL lies this much later than the URL's own, so that few of many downloads write.
NOTED_AHEAD: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class NotYet:
    """The file is being recorded, fetched or checked."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Archived:
    """The file is in the archive, and no readable copy of it exists."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Ready:
    """A URL that works until `expires_at`."""

    recording: Recording
    file: StoredFile
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRecording:
    """Presign a URL of the file in R2, or of its restored copy in the archive."""

    recordings: Recordings
    store: ObjectStore
    archive: ArchiveStore
    links: DownloadLinks
    access_log: AccessLog
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str, seconds: int) -> Ready | NotYet | Archived:
        """Return a URL that works for `seconds`, or for a shorter time if the copy or the credentials end earlier.

        Raises:
            RecordingNotFound: the recording does not exist
            RecordingFailed: there will be no file
            Throttled: the file moved during each try, or the access log could not be written
        """
        for _ in range(MAX_ATTEMPTS):
            outcome = self._try(tenant_id, recording_id, seconds)
            if outcome is not None:
                return outcome
        raise Throttled("the file moves at this very moment; try again", retry_after=1)

    def _try(self, tenant_id: str, recording_id: str, seconds: int) -> Ready | NotYet | Archived | None:
        """Return None if the file left R2 between two reads."""
        recording, now = self.recordings.get(tenant_id, recording_id), self.clock()
        if recording.status is Status.FAILED:
            raise RecordingFailed(recording.failure.message if recording.failure else "")
        file = recording.file
        if file is None:
            return NotYet(recording)
        store: ObjectStore = self.store
        if file.store == "r2":
            if not self._is_kept(recording, now + timedelta(seconds=seconds)):
                return None
        else:
            readable_until = self._readable_until(recording, file)
            if readable_until is None or readable_until <= now:
                return Archived(recording)
            store, seconds = self.archive, min(seconds, int((readable_until - now).total_seconds()))
        download = store.presign_download(
            file.key,
            file_name=file_name_of(recording, file),
            content_type=file.content_type,
            expires_in_seconds=seconds,
            now=now,
        )
        self.access_log.note(recording, at=now, until=download.expires_at, store=file.store)
        return Ready(recording, file, download.url, download.expires_at)

    def _is_kept(self, recording: Recording, until: datetime) -> bool:
        """Whether the file stays in R2 until then, even if it moves to the archive. False: it has left R2 already.

        The end of a URL is noted before the URL is returned.
        """
        noted = self.links.find_latest_expiry(recording)
        if noted is not None and noted >= until:
            return True
        return self.links.note_expiry(recording, until=until + NOTED_AHEAD)

    def _readable_until(self, recording: Recording, file: StoredFile) -> datetime | None:
        """Return when the readable copy ends. S3 itself is asked, because its event may be late."""
        if recording.archive is None or recording.archive.state not in {"restoring", "restored"}:
            return None
        status = self.archive.restore_status(file.key)
        if status is None or status.in_progress:
            return None
        if status.storage_class in RETRIEVAL_TIMES:
            return status.readable_until
        # An object in a class that needs no restore has no end in S3. It is readable for the time asked for.
        return recording.archive.restored_until


def file_name_of(recording: Recording, file: StoredFile) -> str:
    """Return the name under which a browser saves the file."""
    return f"{recording.room_name} {recording.started_at:%Y-%m-%d %H-%M}.{file_extension(file.content_type)}"
