"""Store since when Cloudflare reports no file, so that a later response can confirm or disprove it."""

from datetime import datetime

from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings


def store_missing_since(recordings: Recordings, recording: Recording, missing_since: datetime | None) -> None:
    """Store the time if it differs. None: the last response did not say that the file is missing.

    Raises:
        Throttled: DynamoDB is busy or does not respond
    """
    if recording.missing_since != missing_since:
        recordings.note_missing(recording, missing_since)
