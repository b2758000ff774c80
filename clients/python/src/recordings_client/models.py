"""The API's responses as frozen dataclasses: times are aware and in UTC, sizes are bytes, durations whole seconds.

The classes are generated from the OpenAPI description into `generated`. This module is where programs import them from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from recordings_client.documents import Document
from recordings_client.documents import MalformedDocument as MalformedDocument
from recordings_client.documents import rows as rows
from recordings_client.generated import Access as Access
from recordings_client.generated import ActiveRecording as ActiveRecording
from recordings_client.generated import Actor as Actor
from recordings_client.generated import Archive as Archive
from recordings_client.generated import Archived as Archived
from recordings_client.generated import Change as Change
from recordings_client.generated import Deleted as Deleted
from recordings_client.generated import Download as Download
from recordings_client.generated import Failure as Failure
from recordings_client.generated import FieldError as FieldError
from recordings_client.generated import Progress as Progress
from recordings_client.generated import Recording as Recording
from recordings_client.generated import RecordingStatus as RecordingStatus
from recordings_client.generated import RecordingSummary as RecordingSummary
from recordings_client.generated import Recovering as Recovering
from recordings_client.generated import Restoring as Restoring
from recordings_client.generated import Room as Room
from recordings_client.generated import RoomName as RoomName
from recordings_client.generated import Started as Started
from recordings_client.generated import Status as Status
from recordings_client.generated import Stopped as Stopped
from recordings_client.generated import Synced as Synced

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list. If `next_cursor` is None, it is the last. Only recordings have a `total` and an `offset`."""

    items: tuple[T, ...]
    limit: int | None
    total: int | None
    offset: int | None
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meta(Document):
    """What both kinds of list say about a page; only lists of recordings have all of these."""

    limit: int | None
    total: int | None
    offset: int | None
    next_cursor: str | None


def page_of(read: Callable[[object], T]) -> Callable[[object], Page[T]]:
    """Return a function that reads a list response: `data`, each item with `read`, and `meta`."""

    def page(given: object) -> Page[T]:
        if not isinstance(given, Mapping):
            raise MalformedDocument("an object was expected")
        meta = _Meta.of(given.get("meta") or {})
        return Page(
            items=rows(given.get("data"), read),
            limit=meta.limit,
            total=meta.total,
            offset=meta.offset,
            next_cursor=meta.next_cursor,
        )

    return page
