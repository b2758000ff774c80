"""List a tenant's recordings."""

from dataclasses import dataclass

from recordings.ports.repositories import CountedPage, Filter, Recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRecordings:
    recordings: Recordings

    def __call__(
        self, *, tenant_id: str, only: Filter, limit: int, offset: int | None, cursor: str | None
    ) -> CountedPage:
        """Return one page, newest first. It begins after `cursor`, or else skips `offset` recordings.

        Raises:
            InvalidCursor: `cursor` is not from an earlier page of the same tenant and filter
        """
        return self.recordings.page(tenant_id, only, limit=limit, offset=offset or 0, cursor=cursor)
