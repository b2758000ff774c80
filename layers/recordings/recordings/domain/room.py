"""A room: a tenant's name for a meeting, and the lock that allows one recording at a time."""

from dataclasses import dataclass
from datetime import datetime

from recordings.domain.actor import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room as it is stored.

    `active_recording_id` or `lease_nonce` is set while the room is locked. A start in progress holds the lease, which
    expires at `lease_until`. `changed_by` stored this version: None in versions of earlier releases.
    """

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
    changed_by: Actor | None = None
