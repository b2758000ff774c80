"""A room: what a tenant calls a meeting, and the holder of the lock that allows one recording at a time."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """`lease_nonce` is set while a start is under way; the lease frees itself at `lease_until`."""

    id: str
    tenant_id: str
    name: str
    meeting_id: str
    record_on_start: bool
    created_at: datetime
    updated_at: datetime
    active_recording_id: str | None = None
    lease_nonce: str | None = None
    lease_until: datetime | None = None
    version: int = 1
