"""Recordings that benchmarks store."""

from datetime import datetime

from recordings.adapters.system import new_id
from recordings.domain.recording import Recording


def an_ended_recording(
    tenant_id: str, room_id: str, meeting_id: str, cloudflare_recording_id: str, *, at: datetime
) -> Recording:
    """Return a recording that Cloudflare started by itself and that has just ended. Nothing is stored."""
    return Recording.begin(
        id=new_id(at),
        tenant_id=tenant_id,
        room_id=room_id,
        room_name=room_id,
        meeting_id=meeting_id,
        cloudflare_recording_id=cloudflare_recording_id,
        origin="auto",
        at=at,
        cause="auto_started",
    ).ended(at=at, cause="capture_ended")
