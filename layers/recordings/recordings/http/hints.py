"""What a webhook of Cloudflare speaks of (developers.cloudflare.com/realtime/realtimekit/webhooks)."""

import json
from dataclasses import dataclass

from recordings.domain.ids import is_cloudflare_id


@dataclass(frozen=True, slots=True)
class Hint:
    """The ids that a body names; nothing else of it is believed."""

    capture_id: str
    meeting_id: str | None


def hint_of(raw_body: bytes) -> Hint | None:
    """The hint in a body, or None when it is about something else or cannot be read."""
    try:
        document = json.loads(raw_body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("event") != "recording.statusUpdate":
        return None
    recording = document.get("recording")
    if not isinstance(recording, dict):
        return None
    capture_id = recording.get("recordingId") or recording.get("id")
    meeting = document.get("meeting")
    meeting_id = recording.get("meetingId") or (meeting.get("id") if isinstance(meeting, dict) else None)
    if not isinstance(capture_id, str) or not is_cloudflare_id(capture_id):
        return None
    return Hint(capture_id, meeting_id if is_cloudflare_id(meeting_id) else None)
