"""Bring a room's recordings in line with Cloudflare."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import Final

from recordings.domain.capture import Capture
from recordings.domain.errors import ProviderNotFound, RoomAlreadyRecording, Throttled
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.ports import Clock, Recorder, Recordings, Rooms
from recordings.services.reconcile_recording import ReconcileRecording

AT_A_TIME: Final = 100
# The function ends at 29 seconds; what is done by then is stored, and the next call goes on from there.
LONGEST: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRoom:
    rooms: Rooms
    recordings: Recordings
    recorder: Recorder
    reconcile: ReconcileRecording
    clock: Clock

    def __call__(self, *, tenant_id: str, room_id: str) -> Sequence[Recording]:
        """Give the recordings that were imported or changed. Raises RoomNotFound, Throttled or a ProviderFailure."""
        room = self.rooms.get(tenant_id, room_id)
        end = self.clock() + LONGEST
        changed: list[Recording] = []
        seen: set[str] = set()
        for captures in batched(self.recorder.captures(room.meeting_id), AT_A_TIME, strict=False):
            known = self.recordings.of_captures([capture.id for capture in captures])
            for capture in captures:
                if self.clock() > end:
                    raise Throttled("there is more to bring in than one call can; call again", retry_after=1)
                seen.add(capture.id)
                ours = known.get(capture.id)
                if capture.id in known and (ours is None or ours.tenant_id != tenant_id):
                    # Purged here, or of another room that this meeting once belonged to.
                    continue
                self._bring(room, ours, capture, changed)
        self._unlisted(room, seen, changed)
        return [recording for recording in changed if recording.deleted_at is None]

    def _bring(self, room: Room, ours: Recording | None, capture: Capture | None, changed: list[Recording]) -> None:
        try:
            recording = self.reconcile(room, ours, capture)
        except RoomAlreadyRecording:
            # A start of this room is under way, or a second capture runs beside the first: a later look imports it.
            return
        if recording is not None:
            changed.append(recording)

    def _unlisted(self, room: Room, seen: set[str], changed: list[Recording]) -> None:
        """What holds the room but did not come in the listing is asked for by its id."""
        if room.active_recording_id is None:
            return
        ours = self.recordings.find(room.tenant_id, room.active_recording_id)
        if ours.cloudflare_id is None or ours.cloudflare_id in seen:
            return
        try:
            capture = self.recorder.get(ours.cloudflare_id)
        except ProviderNotFound:
            capture = None
        self._bring(room, ours, capture, changed)
