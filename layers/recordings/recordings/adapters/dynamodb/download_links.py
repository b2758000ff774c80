"""When the URLs end that were given out for files in R2."""

from datetime import datetime, timedelta
from typing import Final

from recordings.adapters.dynamodb.attributes import nested
from recordings.adapters.dynamodb.items import DownloadLinkItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.queries import get_item
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.recording import Recording

# From the end of the URL. The item must be readable until the file in R2 is deleted.
DOWNLOAD_LINK_TTL: Final = timedelta(days=30)


class _FileMoved(Exception):
    """The file is no longer the recording's, or no longer in R2."""


class _LaterKnown(Exception):
    """A URL that ends as late or later was given out before."""


class DynamoDownloadLinks:
    """Implements ports.repositories.DownloadLinks."""

    def note_expiry(self, recording: Recording, *, until: datetime) -> bool:
        file = recording.file
        if file is None or file.store != "r2":
            return False
        stored = RecordingItem.file
        try:
            with Transaction() as transaction:
                transaction.require(
                    RecordingItem.at(recording),
                    (nested(stored.store) == file.store) & (nested(stored.key) == file.key),
                    otherwise=lambda _: _FileMoved(),
                )
                transaction.update(
                    DownloadLinkItem(*_key(recording)),
                    [
                        DownloadLinkItem.ends_at.set(until),
                        DownloadLinkItem.expires_at.set(until + DOWNLOAD_LINK_TTL),
                    ],
                    DownloadLinkItem.ends_at.does_not_exist() | (DownloadLinkItem.ends_at < until),
                    otherwise=lambda _: _LaterKnown(),
                )
        except _FileMoved:
            return False
        except _LaterKnown:
            # The file stays until that URL ends.
            return True
        return True

    def find_latest_expiry(self, recording: Recording) -> datetime | None:
        item = get_item(DownloadLinkItem, *_key(recording))
        return item.ends_at if item is not None else None


def _key(recording: Recording) -> tuple[str, str]:
    return partition(recording.tenant_id, "URLS"), recording.id
