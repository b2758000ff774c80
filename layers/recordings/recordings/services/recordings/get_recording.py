"""Read one recording."""

from dataclasses import dataclass

from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings, Rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRecording:
    recordings: Recordings
    rooms: Rooms

    def __call__(self, *, tenant_id: str, recording_id: str) -> tuple[Recording, str]:
        """Return the recording and the present name of its room.

        Raises:
            RecordingNotFound: the tenant has no such recording, or it is deleted
        """
        recording = self.recordings.get(tenant_id, recording_id)
        # Early releases did not store the last name of a deleted room: then the name at the start is all that is known.
        return recording, self.rooms.find_last_name(tenant_id, recording.room_id) or recording.room_name
