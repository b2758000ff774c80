"""Records of the table's stream."""

from collections.abc import Mapping
from typing import Any

from recordings.adapters.dynamodb.recording_items import recording_of
from recordings.domain.change import RecordingChange
from recordings.domain.recording import Recording


def recording_change(record: Mapping[str, Any]) -> RecordingChange:
    """Return the recording before and after a write; both None if the item is no recording."""
    images = record["dynamodb"]
    return RecordingChange(before=_recording(images.get("OldImage")), after=_recording(images.get("NewImage")))


def _recording(image: Mapping[str, Any] | None) -> Recording | None:
    return recording_of(image) if image else None
