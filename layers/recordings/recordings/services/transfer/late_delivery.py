"""Delete what Cloudflare delivered into our bucket after the recording had its file from elsewhere."""

from dataclasses import dataclass

from recordings.domain.recording import Recording
from recordings.ports.storage import ArchiveStore, ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLateDelivery:
    """Delete a delivered file that the recording does not need. A larger one stays: it may hold more."""

    store: ObjectStore
    archive: ArchiveStore

    def __call__(self, recording: Recording) -> bool:
        """Return whether a file was deleted. Safe to repeat."""
        key, file = recording.superseded_delivery, recording.file
        if key is None or file is None:
            return False
        delivered = self.store.head(key)
        if delivered is None or delivered.size > file.size_bytes:
            return False
        if file.store == "r2":
            stored = self.store.head(file.key)
            is_stored = stored is not None and stored.size == file.size_bytes
        else:
            is_stored = self.archive.restore_status(file.key) is not None
        if not is_stored:
            # The recording's own file is missing: the delivered one may be all that is left.
            return False
        self.store.delete(key)
        return True
