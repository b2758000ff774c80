"""Compare a room's recordings with Cloudflare, and change what differs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched
from typing import Final

from recordings.domain.errors import MeetingReleased, ProviderNotFound, RoomAlreadyRecording, Throttled
from recordings.domain.meeting import MeetingOwnership, RecordingOwner, owner_of
from recordings.domain.provider_recording import FILE_RETENTION, ProviderRecording, started_since
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.ports.system import Clock
from recordings.services.rooms.meeting_owner import SettleMeeting
from recordings.services.sync.reconcile_recording import ReconcileRecording

# DynamoDB returns 100 items at most for one BatchGetItem (DynamoDB API Reference).
LOOKUP_BATCH_SIZE: Final = 100
# A request has 25 seconds, and one more recording may take some of them. What is imported by then is stored, and the
# next call imports the rest.
MAX_DURATION: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRecordings:
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    reconcile: ReconcileRecording
    clock: Clock

    def __call__(self, *, tenant_id: str, room_id: str) -> Sequence[Recording]:
        """Return the recordings that were imported or changed. Set the meeting's record-on-start as the room has it.

        Raises:
            RoomNotFound: the room does not exist
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: there is more to import than one call can, or a service is busy or does not respond
        """
        room = self.rooms.get(tenant_id, room_id)
        changed: list[Recording] = []
        listed = self._reconcile_listed(room, self.provider.list_by_meeting(room.meeting_id), changed)
        self._reconcile_unlisted(room, listed, changed)
        SettleMeeting(rooms=self.rooms, provider=self.provider).repair(room.meeting_id)
        return [recording for recording in changed if recording.deleted_at is None]

    def import_recent(self, room: Room) -> None:
        """Import every recording of the room that Cloudflare may still have a file of. Raises as the call does."""
        oldest = self.clock() - FILE_RETENTION
        self._reconcile_listed(room, started_since(self.provider.list_by_meeting(room.meeting_id), oldest), [])

    def _reconcile_listed(self, room: Room, listed: Iterable[ProviderRecording], changed: list[Recording]) -> set[str]:
        """Reconcile each listed recording. Return their Cloudflare ids."""
        deadline = self.clock() + MAX_DURATION
        ownership = self.rooms.find_meeting_ownership(room.meeting_id)
        seen: set[str] = set()
        for batch in batched(listed, LOOKUP_BATCH_SIZE, strict=False):
            known = self.recordings.find_by_cloudflare_recording_ids([one.cloudflare_recording_id for one in batch])
            for provider_recording in batch:
                if self.clock() > deadline:
                    raise Throttled("there is more to bring in than one call can; call again", retry_after=1)
                seen.add(provider_recording.cloudflare_recording_id)
                self._reconcile_one(room, ownership, known, provider_recording, changed)
        return seen

    def _reconcile_one(
        self,
        room: Room,
        ownership: MeetingOwnership | None,
        known: Mapping[str, Recording | None],
        provider_recording: ProviderRecording,
        changed: list[Recording],
    ) -> None:
        if provider_recording.cloudflare_recording_id in known:
            recording = known[provider_recording.cloudflare_recording_id]
            # A purged recording does not come back.
            if recording is not None and recording.tenant_id == room.tenant_id:
                self._reconcile(None, recording, provider_recording, changed)
            return
        owner = owner_of(ownership, provider_recording, holding_room=room)
        if owner is not None and owner.tenant_id == room.tenant_id:
            self._reconcile(owner, None, provider_recording, changed)

    def _reconcile(
        self,
        owner: RecordingOwner | None,
        recording: Recording | None,
        provider_recording: ProviderRecording | None,
        changed: list[Recording],
    ) -> None:
        try:
            result = self.reconcile(owner, recording, provider_recording)
        except (RoomAlreadyRecording, MeetingReleased):
            # A start of this room is in progress, or a second recording runs beside the first. A later sync imports it.
            return
        if result is not None:
            changed.append(result)

    def _reconcile_unlisted(self, room: Room, listed: set[str], changed: list[Recording]) -> None:
        """Request the recording that locks the room by its id, if the listing does not contain it."""
        if room.active_recording_id is None:
            return
        recording = self.recordings.get_including_deleted(room.tenant_id, room.active_recording_id)
        if recording.cloudflare_recording_id is None or recording.cloudflare_recording_id in listed:
            return
        try:
            provider_recording = self.provider.get(recording.cloudflare_recording_id)
        except ProviderNotFound:
            provider_recording = None
        self._reconcile(None, recording, provider_recording, changed)
