"""Images of items in the table's stream."""

from collections.abc import Mapping
from typing import Any

from recordings.adapters.dynamodb.recording_items import recording_of
from recordings.domain.change import RecordingChange
from recordings.domain.recording import Recording


def recording_change(old_image: Mapping[str, Any] | None, new_image: Mapping[str, Any] | None) -> RecordingChange:
    """Return the recording before and after a write; both None if the item is no recording."""
    return RecordingChange(before=_recording(old_image), after=_recording(new_image))


def _recording(image: Mapping[str, Any] | None) -> Recording | None:
    return recording_of(image) if image else None
