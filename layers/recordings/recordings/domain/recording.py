"""The recording itself: a value that changes status only by the lifecycle."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self

from recordings.domain import lifecycle
from recordings.domain.lifecycle import Command, Observation, Status

type Origin = Literal["api", "auto"]
type Store = Literal["r2", "s3"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there will be no file: a stable code and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history: the status entered, when, and what caused it."""

    status: Status
    at: datetime
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the work on a recording stands. Sizes in bytes."""

    step: str
    attempt: int
    bytes_done: int | None = None
    bytes_total: int | None = None
    next_step_due: datetime | None = None
    stuck_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A verified file in storage we own. `checksum` is the lower-case hex SHA-256 of all bytes, when known."""

    provider: Store
    key: str
    size_bytes: int
    content_type: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Times are aware UTC datetimes in whole seconds; durations are seconds, sizes bytes."""

    id: str
    tenant_id: str
    room_id: str
    room_name: str
    meeting_id: str
    status: Status
    origin: Origin
    created_at: datetime
    started_at: datetime
    cloudflare_id: str | None = None
    stopped_at: datetime | None = None
    duration_seconds: int | None = None
    archived_at: datetime | None = None
    file: StoredFile | None = None
    failure: Failure | None = None
    partial: bool = False
    stalled: bool = False
    attempt: int = 1
    progress: Progress | None = None
    history: tuple[Change, ...] = ()
    version: int = 1

    @classmethod
    def begin(
        cls,
        *,
        id: str,
        tenant_id: str,
        room_id: str,
        room_name: str,
        meeting_id: str,
        cloudflare_id: str,
        origin: Origin,
        at: datetime,
        cause: str,
    ) -> Self:
        """A recording that Cloudflare has just begun; `at` is when it began."""
        return cls(
            id=id,
            tenant_id=tenant_id,
            room_id=room_id,
            room_name=room_name,
            meeting_id=meeting_id,
            cloudflare_id=cloudflare_id,
            origin=origin,
            status=Status.RECORDING,
            created_at=at,
            started_at=at,
            history=(Change(Status.RECORDING, at, cause),),
        )

    @property
    def size_bytes(self) -> int | None:
        return self.file.size_bytes if self.file else None

    def stopped(self, *, at: datetime, cause: str) -> Self:
        """Obey a stop, or raise TransitionNotAllowed."""
        return self._entered(lifecycle.allowed(self.status, Command.STOP), at, cause, stopped_at=at)

    def ended(self, *, at: datetime, cause: str) -> Self:
        """Cloudflare stopped recording; self unchanged when that is old news."""
        return self._observed(Observation.CAPTURE_ENDED, at, cause, stopped_at=self.stopped_at or at)

    def failed(self, failure: Failure, *, at: datetime, cause: str) -> Self:
        """There will be no file; self unchanged when one is already stored."""
        return self._observed(
            Observation.CAPTURE_FAILED,
            at,
            cause,
            failure=failure,
            stopped_at=self.stopped_at or at,
            progress=None,
            stalled=False,
        )

    def stored(
        self, file: StoredFile, *, duration_seconds: int | None, partial: bool, at: datetime, cause: str
    ) -> Self:
        """The file is in our storage and verified; self unchanged when that is old news."""
        return self._observed(
            Observation.FILE_STORED,
            at,
            cause,
            file=file,
            duration_seconds=duration_seconds,
            partial=partial,
            progress=None,
            stalled=False,
        )

    def _observed(self, observation: Observation, at: datetime, cause: str, **changes: object) -> Self:
        status = lifecycle.observed(self.status, observation)
        return self if status is self.status else self._entered(status, at, cause, **changes)

    def _entered(self, status: Status, at: datetime, cause: str, **changes: object) -> Self:
        return replace(
            self,
            status=status,
            history=(*self.history, Change(status, at, cause)),
            version=self.version + 1,
            **changes,  # type: ignore[arg-type]  # checked where each is named, above
        )
