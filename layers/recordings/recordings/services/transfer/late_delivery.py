"""Remove what Cloudflare delivered into our bucket after the recording had got its file another way."""

from dataclasses import dataclass
from typing import Protocol

from recordings.domain.recording import Recording
from recordings.ports.storage import ArchiveStore


class DeliveryStore(Protocol):
    """Our own bucket, that Cloudflare delivers into."""

    def head(self, key: str) -> tuple[int, str] | None:
        """Size and ETag of a file, or None."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone is no error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLateDelivery:
    """A second copy of a file that is stored and verified is removed; one that may hold more is left to a person."""

    files: DeliveryStore
    vault: ArchiveStore

    def __call__(self, recording: Recording) -> bool:
        """Give whether a delivery was removed. Safe to repeat. Raises Throttled or InfrastructureError."""
        key, file = recording.superseded_delivery, recording.file
        if key is None or file is None:
            return False
        delivered = self.files.head(key)
        if delivered is None or delivered[0] > file.size_bytes:
            return False
        if file.store == "r2":
            kept = self.files.head(file.key)
            is_stored = kept is not None and kept[0] == file.size_bytes
        else:
            is_stored = self.vault.look(file.key) is not None
        if not is_stored:
            # The file that should be ours is missing: what was delivered may be all that is left.
            return False
        self.files.delete(key)
        return True
