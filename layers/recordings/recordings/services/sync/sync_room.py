"""Bring a room's recordings in line with Cloudflare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import Final

from recordings.domain.errors import MeetingReleased, ProviderNotFound, RoomAlreadyRecording, Throttled
from recordings.domain.meeting import MeetingOwnership, RecordingOwner, owner_of
from recordings.domain.provider_recording import KEPT, ProviderRecording, begun_since
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.ports.system import Clock
from recordings.services.rooms.meeting_owner import SettleMeeting
from recordings.services.sync.reconcile_recording import ReconcileRecording

AT_A_TIME: Final = 100
# A request has 25 seconds, and one more recording may take some of them. What is done by then is stored, and the next
# call goes on from there.
LONGEST: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRoom:
    rooms: Rooms
    recordings: Recordings
    recorder: RecordingProvider
    reconcile: ReconcileRecording
    clock: Clock

    def __call__(self, *, tenant_id: str, room_id: str) -> Sequence[Recording]:
        """Give the recordings that were imported or changed, and have the meeting do by itself what the room says.

        Raises RoomNotFound, Throttled or a ProviderFailure.
        """
        room = self.rooms.get(tenant_id, room_id)
        changed: list[Recording] = []
        seen = self._walk(room, self.recorder.captures(room.meeting_id), changed)
        self._unlisted(room, seen, changed)
        SettleMeeting(rooms=self.rooms, recorder=self.recorder).repair(room.meeting_id)
        return [recording for recording in changed if recording.deleted_at is None]

    def bring_recent(self, room: Room) -> None:
        """Bring in line whatever of this room Cloudflare may still have a file of. Raises as the call does."""
        oldest = self.clock() - KEPT
        self._walk(room, begun_since(self.recorder.captures(room.meeting_id), oldest), [])

    def _walk(self, room: Room, listed: Iterable[ProviderRecording], changed: list[Recording]) -> set[str]:
        """Compare what is listed with what we have; give the ids of it."""
        end = self.clock() + LONGEST
        ownership = self.rooms.find_meeting_ownership(room.meeting_id)
        seen: set[str] = set()
        for captures in batched(listed, AT_A_TIME, strict=False):
            known = self.recordings.find_by_cloudflare_recording_ids([capture.id for capture in captures])
            for capture in captures:
                if self.clock() > end:
                    raise Throttled("there is more to bring in than one call can; call again", retry_after=1)
                seen.add(capture.id)
                self._compare(room, ownership, known, capture, changed)
        return seen

    def _compare(
        self,
        room: Room,
        ownership: MeetingOwnership | None,
        known: Mapping[str, Recording | None],
        capture: ProviderRecording,
        changed: list[Recording],
    ) -> None:
        if capture.id in known:
            ours = known[capture.id]
            # None was purged here.
            if ours is not None and ours.tenant_id == room.tenant_id:
                self._bring(None, ours, capture, changed)
            return
        owner = owner_of(ownership, capture, holding_room=room)
        if owner is not None and owner.tenant_id == room.tenant_id:
            self._bring(owner, None, capture, changed)

    def _bring(
        self,
        owner: RecordingOwner | None,
        ours: Recording | None,
        capture: ProviderRecording | None,
        changed: list[Recording],
    ) -> None:
        try:
            recording = self.reconcile(owner, ours, capture)
        except (RoomAlreadyRecording, MeetingReleased):
            # A start of this room is under way, or a second capture runs beside the first: a later look imports it.
            return
        if recording is not None:
            changed.append(recording)

    def _unlisted(self, room: Room, seen: set[str], changed: list[Recording]) -> None:
        """What holds the room but did not come in the listing is asked for by its id."""
        if room.active_recording_id is None:
            return
        ours = self.recordings.get_including_deleted(room.tenant_id, room.active_recording_id)
        if ours.cloudflare_recording_id is None or ours.cloudflare_recording_id in seen:
            return
        try:
            capture = self.recorder.get(ours.cloudflare_recording_id)
        except ProviderNotFound:
            capture = None
        self._bring(None, ours, capture, changed)
