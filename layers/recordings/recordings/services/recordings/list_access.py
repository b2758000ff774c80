"""List who was given a download URL of a recording."""

from dataclasses import dataclass

from recordings.domain.access import Access
from recordings.ports.repositories import AccessLog, Page, Recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAccess:
    recordings: Recordings
    access_log: AccessLog

    def __call__(self, *, tenant_id: str, recording_id: str, limit: int, cursor: str | None) -> Page[Access]:
        """Return one page, the latest URL first. It begins after `cursor`.

        Raises:
            RecordingNotFound: the recording does not exist, or is deleted
            InvalidCursor: `cursor` is not from an earlier page of an access log
        """
        recording = self.recordings.get(tenant_id, recording_id)
        return self.access_log.list(recording, limit=limit, cursor=cursor)
