"""What the API answers, as frozen values: times aware UTC, sizes bytes, durations whole seconds.

Fields are named as in the API. Fields that the API may add later are ignored, and statuses that it may add are read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class MalformedDocument(ValueError):
    """What came is not the document that the contract promises."""


class Status(StrEnum):
    """A recording's place in its life. A status that a newer API may have is read too; then `is_known` is false."""

    RECORDING = "recording"
    PROCESSING = "processing"
    READY = "ready"
    ARCHIVED = "archived"
    FAILED = "failed"

    @classmethod
    def _missing_(cls, value: object) -> "Status | None":
        if not isinstance(value, str):
            return None
        # Of this type and with its text, but no member: it is in no iteration and equals none of them.
        unknown = str.__new__(cls, value)
        unknown._name_, unknown._value_ = "UNKNOWN", value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether it was a status of the API when this version of the package was made."""
        return self._name_ in type(self).__members__


class _Document:
    """A JSON object read field by field: what is missing or of another type is named."""

    def __init__(self, given: object) -> None:
        if not isinstance(given, Mapping):
            raise MalformedDocument("an object was expected")
        self._given: Mapping[str, Any] = given

    def text(self, name: str) -> str:
        return self._typed(name, str)

    def text_or_none(self, name: str) -> str | None:
        return None if self._given.get(name) is None else self.text(name)

    def whole(self, name: str) -> int:
        return self._typed(name, int)

    def whole_or_none(self, name: str) -> int | None:
        return None if self._given.get(name) is None else self.whole(name)

    def flag(self, name: str) -> bool:
        return self._given.get(name) is True

    def time(self, name: str) -> datetime:
        try:
            at = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise MalformedDocument(f"{name} is not a time") from None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def time_or_none(self, name: str) -> datetime | None:
        return None if self._given.get(name) is None else self.time(name)

    def status(self) -> Status:
        return Status(self.text("status"))

    def each(self, name: str, read: Callable[[object], T]) -> tuple[T, ...]:
        return rows(self._given.get(name), read)

    def inner(self, name: str, read: Callable[[object], T]) -> T | None:
        found = self._given.get(name)
        return None if found is None else read(found)

    def _typed(self, name: str, kind: type[T]) -> T:
        found = self._given.get(name)
        # True is an int to Python, not to the contract.
        if not isinstance(found, kind) or isinstance(found, bool):
            raise MalformedDocument(f"{name} is missing or of another type")
        return found


def rows(given: object, read: Callable[[object], T]) -> tuple[T, ...]:
    """Every element of a JSON array."""
    if not isinstance(given, list):
        raise MalformedDocument("an array was expected")
    return tuple(read(one) for one in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    id: str
    name: str
    cloudflare_meeting_id: str | None
    record_on_start: bool
    active_recording_id: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            id=document.text("id"),
            name=document.text("name"),
            cloudflare_meeting_id=document.text_or_none("cloudflare_meeting_id"),
            record_on_start=document.flag("record_on_start"),
            active_recording_id=document.text_or_none("active_recording_id"),
            created_at=document.time("created_at"),
            updated_at=document.time("updated_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomName:
    """The room as a recording knows it: the last known name outlives the room."""

    id: str
    name: str | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(id=document.text("id"), name=document.text_or_none("name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSummary:
    """A row of the list."""

    id: str
    room_id: str
    status: Status
    duration_seconds: int | None
    size_bytes: int | None
    created_at: datetime

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            id=document.text("id"),
            room_id=document.text("room_id"),
            status=document.status(),
            duration_seconds=document.whole_or_none("duration_seconds"),
            size_bytes=document.whole_or_none("size_bytes"),
            created_at=document.time("created_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A stable code and a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(code=document.text("code"), message=document.text("message"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the work on a recording stands; after `stuck_after` it counts as stuck."""

    step: str
    attempt: int | None
    bytes_done: int | None
    bytes_total: int | None
    next_step_due: datetime | None
    stuck_after: datetime | None
    stalled: bool

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            step=document.text("step"),
            attempt=document.whole_or_none("attempt"),
            bytes_done=document.whole_or_none("bytes_done"),
            bytes_total=document.whole_or_none("bytes_total"),
            next_step_due=document.time_or_none("next_step_due"),
            stuck_after=document.time_or_none("stuck_after"),
            stalled=document.flag("stalled"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Cold storage: `state` is moving, stored, restoring or restored."""

    state: str
    storage_class: str | None
    restored_until: datetime | None
    expected_at: datetime | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            state=document.text("state"),
            storage_class=document.text_or_none("storage_class"),
            restored_until=document.time_or_none("restored_until"),
            expected_at=document.time_or_none("expected_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the history: the status entered, when, and what caused it."""

    status: Status
    at: datetime
    cause: str

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(status=document.status(), at=document.time("at"), cause=document.text("cause"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The whole of a recording. `origin` is api or auto, `provider` r2 or s3."""

    id: str
    room_id: str
    room: RoomName
    status: Status
    duration_seconds: int | None
    size_bytes: int | None
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    archived_at: datetime | None
    provider: str | None
    origin: str
    version: int
    partial: bool
    failure: Failure | None
    archive_error: Failure | None
    progress: Progress | None
    archive: Archive | None
    history: tuple[Change, ...]

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        room_id = document.text("room_id")
        return cls(
            id=document.text("id"),
            room_id=room_id,
            room=document.inner("room", RoomName.of) or RoomName(id=room_id, name=None),
            status=document.status(),
            duration_seconds=document.whole_or_none("duration_seconds"),
            size_bytes=document.whole_or_none("size_bytes"),
            created_at=document.time("created_at"),
            started_at=document.time_or_none("started_at"),
            stopped_at=document.time_or_none("stopped_at"),
            archived_at=document.time_or_none("archived_at"),
            provider=document.text_or_none("provider"),
            origin=document.text("origin"),
            version=document.whole("version"),
            partial=document.flag("partial"),
            failure=document.inner("failure", Failure.of),
            archive_error=document.inner("archive_error", Failure.of),
            progress=document.inner("progress", Progress.of),
            archive=document.inner("archive", Archive.of),
            history=document.each("history", Change.of),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    id: str
    room_id: str
    status: Status
    started_at: datetime

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            id=document.text("id"),
            room_id=document.text("room_id"),
            status=document.status(),
            started_at=document.time("started_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    id: str
    room_id: str
    status: Status
    stopped_at: datetime | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            id=document.text("id"),
            room_id=document.text("room_id"),
            status=document.status(),
            stopped_at=document.time_or_none("stopped_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """Which recording, and where in its life it is now."""

    id: str
    status: Status

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(id=document.text("id"), status=document.status())


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync imported or changed."""

    synced_count: int
    recordings: tuple[RecordingStatus, ...]

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            synced_count=document.whole("synced_count"), recordings=document.each("recordings", RecordingStatus.of)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """The move to cold storage has begun; its end is seen in `Recording.archive`."""

    id: str
    status: Status
    archived_at: datetime | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(id=document.text("id"), status=document.status(), archived_at=document.time_or_none("archived_at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    id: str
    status: Status
    archive: Archive | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(id=document.text("id"), status=document.status(), archive=document.inner("archive", Archive.of))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovering:
    id: str
    status: Status
    message: str | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(id=document.text("id"), status=document.status(), message=document.text_or_none("message"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    id: str
    deleted: bool
    deleted_at: datetime | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            id=document.text("id"), deleted=document.flag("deleted"), deleted_at=document.time_or_none("deleted_at")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Where the file is. Whoever knows the address can read the file, so it stays out of logs."""

    recording_id: str
    download_url: str = field(repr=False)
    status: Status
    duration: int | None
    file_size: int
    provider: str | None
    expires_at: datetime | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            recording_id=document.text("recording_id"),
            download_url=document.text("download_url"),
            status=document.status(),
            duration=document.whole_or_none("duration"),
            file_size=document.whole("file_size"),
            provider=document.text_or_none("provider"),
            expires_at=document.time_or_none("expires_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRecording:
    """The recording that is in the way of another."""

    id: str
    status: Status
    started_at: datetime | None
    origin: str | None

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(
            id=document.text("id"),
            status=document.status(),
            started_at=document.time_or_none("started_at"),
            origin=document.text_or_none("origin"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field that the API did not accept."""

    field: str
    message: str

    @classmethod
    def of(cls, given: object) -> Self:
        document = _Document(given)
        return cls(field=document.text("field"), message=document.text("message"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Part of a list. `next_cursor` None: nothing follows. `total` and `offset` only where the API counts."""

    items: tuple[T, ...]
    limit: int | None
    total: int | None
    offset: int | None
    next_cursor: str | None


def page_of(read: Callable[[object], T]) -> Callable[[object], Page[T]]:
    """Reads a whole list answer: `data` and `meta`."""

    def page(given: object) -> Page[T]:
        envelope = _Document(given)
        meta = envelope.inner("meta", _Document) or _Document({})
        return Page(
            items=envelope.each("data", read),
            limit=meta.whole_or_none("limit"),
            total=meta.whole_or_none("total"),
            offset=meta.whole_or_none("offset"),
            next_cursor=meta.text_or_none("next_cursor"),
        )

    return page
