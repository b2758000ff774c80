"""Where a recording's file can be downloaded now, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from recordings.domain.errors import RecordingFailed
from recordings.domain.lifecycle import Status
from recordings.domain.media import file_extension
from recordings.domain.recording import Recording, StoredFile
from recordings.ports import Clock, Recordings, Vault
from recordings.services.restore_recording import WAITS


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
    vault: Vault
    copies: Copies
    clock: Clock

    def __call__(self, *, tenant_id: str, recording_id: str, seconds: int) -> Ready | NotYet | Archived:
        """Raises RecordingNotFound or RecordingFailed."""
        recording, now = self.recordings.get(tenant_id, recording_id), self.clock()
        if recording.status is Status.FAILED:
            raise RecordingFailed(recording.failure.message if recording.failure else "")
        file = recording.file
        if file is None:
            return NotYet(recording)
        name = file_name_of(recording, file)
        if file.provider == "r2":
            url = self.files.presign(file.key, file_name=name, content_type=file.content_type, expires_in=seconds)
            return Ready(recording, file, url, now + timedelta(seconds=seconds))
        until = self._readable_until(recording, file)
        if until is None or until <= now:
            return Archived(recording)
        url, expires_at = self.copies.presign(
            file.key,
            file_name=name,
            content_type=file.content_type,
            expires_in=min(seconds, int((until - now).total_seconds())),
            now=now,
        )
        return Ready(recording, file, url, expires_at)

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
