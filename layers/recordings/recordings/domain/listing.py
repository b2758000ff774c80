"""What a list shows of a recording."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecording:
    """A recording in a list. `duration_seconds` and `size_bytes` are None while they are unknown."""

    id: str
    room_id: str
    status: Status
    duration_seconds: int | None
    size_bytes: int | None
    created_at: datetime

    @classmethod
    def of(cls, recording: Recording) -> Self:
        """Return what a list shows of this recording."""
        return cls(
            id=recording.id,
            room_id=recording.room_id,
            status=recording.status,
            duration_seconds=recording.duration_seconds,
            size_bytes=recording.size_bytes,
            created_at=recording.created_at,
        )
