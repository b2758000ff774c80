"""Delete or quarantine the files in R2 that the attempts at a recording leave behind.

An attempt deletes what it wrote itself and what earlier attempts wrote, never what a later one writes. The files that a
recording points to (`file`, `held`) stay.
"""

from recordings.domain.errors import ChecksumMismatch
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import FileKind, owner_of, quarantine_key, quarantine_prefix, recording_prefix
from recordings.ports.storage import ObjectStore


def remove_attempt_files(store: ObjectStore, recording: Recording, *, until: int) -> None:
    """Delete what the attempts up to `until` wrote, except what the recording points to."""
    held = recording.held.file if recording.held is not None else None
    kept = {file.key for file in (recording.file, held) if file is not None}
    for listed in [*store.list_objects(recording_prefix(recording))]:
        owner = owner_of("r2", listed.key)
        if owner is None or owner.kind is not FileKind.ATTEMPT or owner.attempt is None:
            continue
        if owner.attempt <= until and listed.key not in kept:
            store.delete(listed.key)


def remove_quarantined(store: ObjectStore, recording: Recording) -> None:
    """Delete what earlier attempts put into quarantine: the recording has its file."""
    for listed in [*store.list_objects(quarantine_prefix(recording))]:
        owner = owner_of("r2", listed.key)
        if owner is not None and owner.kind is FileKind.QUARANTINE:
            store.delete(listed.key)


def quarantine(store: ObjectStore, recording: Recording, key: str, *, attempt: int) -> None:
    """Move a file that was not accepted into quarantine. Safe to repeat; does nothing if there is no file.

    Raises:
        ChecksumMismatch: the copy has another size; the file is still at `key`
    """
    found = store.head(key)
    if found is None:
        return
    target = quarantine_key(recording, attempt)
    store.copy(key, target)
    copied = store.head(target)
    if copied is None or copied.size != found.size:
        raise ChecksumMismatch(f"{copied.size if copied else 'no'} bytes are in quarantine of {found.size}")
    store.delete(key)
