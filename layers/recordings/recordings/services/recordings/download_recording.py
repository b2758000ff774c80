"""Where a recording's file can be downloaded now, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from recordings.domain.errors import RecordingFailed, Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.media import file_extension
from recordings.domain.recording import Recording
from recordings.domain.stored_file import StoredFile
from recordings.ports.repositories import DownloadLinks, Recordings
from recordings.ports.storage import ArchiveStore
from recordings.ports.system import Clock
from recordings.services.recordings.change_recording import MAX_ATTEMPTS
from recordings.services.recordings.restore_recording import WAITS

NOTED_AHEAD: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class NotYet:
    """The file is still being made, fetched or checked."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Archived:
    """The file is in cold storage, and no copy of it can be read."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Ready:
    """`expires_at` is the true end of the URL."""

    recording: Recording
    file: StoredFile
    url: str
    expires_at: datetime


class Served(Protocol):
    """The store that recordings are served from."""

    def presign(self, key: str, *, file_name: str, content_type: str, expires_in: int) -> str: ...


class Copies(Protocol):
    """Copies that were restored from cold storage."""

    def presign(
        self, key: str, *, file_name: str, content_type: str, expires_in: int, now: datetime
    ) -> tuple[str, datetime]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRecording:
    recordings: Recordings
    files: Served
    links: DownloadLinks
    vault: ArchiveStore
    copies: Copies
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str, seconds: int) -> Ready | NotYet | Archived:
        """Raises RecordingNotFound, RecordingFailed or Throttled."""
        for _ in range(MAX_ATTEMPTS):
            found = self._found(tenant_id, recording_id, seconds)
            if found is not None:
                return found
        raise Throttled("the file moves at this very moment; try again", retry_after=1)

    def _found(self, tenant_id: str, recording_id: str, seconds: int) -> Ready | NotYet | Archived | None:
        """None when the file left R2 between two reads."""
        recording, now = self.recordings.get(tenant_id, recording_id), self.clock()
        if recording.status is Status.FAILED:
            raise RecordingFailed(recording.failure.message if recording.failure else "")
        file = recording.file
        if file is None:
            return NotYet(recording)
        name = file_name_of(recording, file)
        if file.store == "r2":
            until = now + timedelta(seconds=seconds)
            if not self._is_kept(recording, until):
                return None
            url = self.files.presign(file.key, file_name=name, content_type=file.content_type, expires_in=seconds)
            return Ready(recording, file, url, until)
        readable_until = self._readable_until(recording, file)
        if readable_until is None or readable_until <= now:
            return Archived(recording)
        url, expires_at = self.copies.presign(
            file.key,
            file_name=name,
            content_type=file.content_type,
            expires_in=min(seconds, int((readable_until - now).total_seconds())),
            now=now,
        )
        return Ready(recording, file, url, expires_at)

    def _is_kept(self, recording: Recording, until: datetime) -> bool:
        """Whether the file stays in R2 until then, also when it moves to cold storage; False when it has left already.

        The end is noted before the URL is given out, and some minutes ahead: of many downloads few write.
        """
        noted = self.links.find_latest_expiry(recording)
        if noted is not None and noted >= until:
            return True
        return self.links.note_expiry(recording, until=until + NOTED_AHEAD)

    def _readable_until(self, recording: Recording, file: StoredFile) -> datetime | None:
        """When the restored copy ends, asked of S3 itself: its event may be late."""
        if recording.archive is None or recording.archive.state not in {"restoring", "restored"}:
            return None
        found = self.vault.look(file.key)
        if found is None or found.ongoing:
            return None
        # What lies in a class that needs no restore is promised for as long as was asked; S3 tells no end of it.
        return found.until if found.storage_class in WAITS else recording.archive.restored_until


def file_name_of(recording: Recording, file: StoredFile) -> str:
    """The name that a browser saves a recording under."""
    return f"{recording.room_name} {recording.started_at:%Y-%m-%d %H-%M}.{file_extension(file.content_type)}"
