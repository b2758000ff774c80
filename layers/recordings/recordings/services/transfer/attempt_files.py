"""The files in R2 that attempts at a recording leave behind, and what becomes of them.

An attempt deletes only what it wrote itself or what earlier attempts wrote, never what a later one writes. The files
that a recording points to (`file`, `held`) stay.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from recordings.domain.errors import ChecksumMismatch
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import FileKind, owner_of, quarantine_key, quarantine_prefix, recording_prefix


class AttemptFiles(Protocol):
    """The store that attempts write into."""

    def head(self, key: str) -> tuple[int, str] | None:
        """Size and ETag of a file, or None."""

    def objects(self, prefix: str, *, after: str | None = None) -> Iterator[tuple[str, int, str, datetime]]:
        """Key, size, ETag and time of every file under a prefix."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone is no error."""

    def copy(self, source: str, target: str) -> None:
        """Copy a file within the store, whatever its size."""


def remove_attempt_files(files: AttemptFiles, recording: Recording, *, until: int) -> None:
    """Delete what the attempts up to this one wrote, except what the recording points to."""
    held = recording.held.file if recording.held is not None else None
    kept = {file.key for file in (recording.file, held) if file is not None}
    for key, *_ in [*files.objects(recording_prefix(recording))]:
        owner = owner_of("r2", key)
        if owner is None or owner.kind is not FileKind.ATTEMPT or owner.attempt is None:
            continue
        if owner.attempt <= until and key not in kept:
            files.delete(key)


def remove_quarantined(files: AttemptFiles, recording: Recording) -> None:
    """Delete what earlier attempts put into quarantine: the recording has its file."""
    for key, *_ in [*files.objects(quarantine_prefix(recording))]:
        owner = owner_of("r2", key)
        if owner is not None and owner.kind is FileKind.QUARANTINE:
            files.delete(key)


def quarantine(files: AttemptFiles, recording: Recording, key: str, *, attempt: int) -> None:
    """Move a file that was not accepted into quarantine. Safe to repeat; nothing when the file is gone.

    Raises ChecksumMismatch when the copy is not as large as the file; the file is still there then.
    """
    found = files.head(key)
    if found is None:
        return
    target = quarantine_key(recording, attempt)
    files.copy(key, target)
    copied = files.head(target)
    if copied is None or copied[0] != found[0]:
        raise ChecksumMismatch(f"{copied[0] if copied else 'no'} bytes are in quarantine of {found[0]}")
    files.delete(key)
