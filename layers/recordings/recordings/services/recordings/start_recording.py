"""Start recording a room."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

from recordings.domain.errors import (
    ConcurrentUpdate,
    NotOurs,
    ProviderFailure,
    ProviderRefused,
    RecordingsError,
    RoomAlreadyRecording,
)
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.domain.storage_keys import delivery_folder
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.ports.system import Clock, Ids
from recordings.services.rooms.meeting_owner import FindOwner
from recordings.services.sync.import_recording import ImportRecording

# Longer than the function's time-out, so that the lease expires only if the start has died.
LEASE_DURATION: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording:
    """Locks the room, calls Cloudflare, stores the recording.

    After a crash in between the lease expires, and the next start or sync finds the recording at Cloudflare. Only the
    call that still holds the lease can store what it started.
    """

    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    clock: Clock
    new_id: Ids
    new_nonce: Callable[[], str]

    def __call__(self, *, tenant_id: str, room_id: str, max_duration_seconds: int | None) -> Recording:
        """Return the recording that has started. After an error nothing remains half done.

        Raises:
            RoomNotFound: the room does not exist
            RoomAlreadyRecording: another recording or start holds the room; the error has the recording if it is known
            ProviderFailure: Cloudflare did not start it
            Throttled: DynamoDB is busy or does not respond
        """
        now, nonce = self.clock(), self.new_nonce()
        room = self.rooms.acquire_lock(tenant_id, room_id, nonce=nonce, now=now, until=now + LEASE_DURATION)
        try:
            return self._start(room, nonce, max_duration_seconds)
        except RecordingsError:
            # The caller can repeat the call at once. If a recording holds the room meanwhile, this changes nothing.
            self.rooms.release_lock(tenant_id, room_id, nonce=nonce)
            raise

    def _start(self, room: Room, nonce: str, max_seconds: int | None) -> Recording:
        active = self.provider.find_active(room.meeting_id)
        if active is not None:
            self._refuse(room, active, nonce)
        started = self._start_at_provider(room, nonce, max_seconds)
        try:
            # Nothing ran in the meeting before this call, so the recording is this room's, whatever its times are.
            return self._import(RecordingOwner.of(room), started, nonce)
        except RecordingsError:
            self._stop_unstored(started)
            raise

    def _stop_unstored(self, started: ProviderRecording) -> None:
        """Stop a recording that could not be stored. The caller gets an error, and could not see that it runs."""
        try:
            self.provider.stop(started.cloudflare_recording_id)
        except ProviderFailure:
            # It keeps running. The next start finds it, or the next sync imports it.
            pass

    def _start_at_provider(self, room: Room, nonce: str, max_seconds: int | None) -> ProviderRecording:
        try:
            return self.provider.start(
                room.meeting_id, max_seconds=max_seconds, folder=delivery_folder(room.tenant_id, room.id)
            )
        except ProviderRefused:
            # Cloudflare refuses a second recording, but does not document with which status.
            active = self.provider.find_active(room.meeting_id)
            if active is not None:
                self._refuse(room, active, nonce)
            raise
        except ProviderFailure:
            # The recording may have started although the response was lost. This call holds the room, and nothing ran
            # before it, so a recording that runs now is its own.
            active = self.provider.find_active(room.meeting_id)
            if active is None:
                raise
            complete = self._complete(active)
            if complete.auto_started:
                # Cloudflare started it automatically at the same time.
                self._refuse(room, complete, nonce)
            return complete

    def _refuse(self, room: Room, active: ProviderRecording, nonce: str) -> NoReturn:
        raise RoomAlreadyRecording(
            "the room is already being recorded; stop that recording first",
            blocker=self._blocker(room, active, nonce),
        )

    def _blocker(self, room: Room, active: ProviderRecording, nonce: str) -> Recording | None:
        """Import the running recording. Return None if it does not belong to this tenant."""
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, active, room=room)
        if owner is None:
            return None
        try:
            return self._import(owner, active, nonce)
        except (ConcurrentUpdate, NotOurs):
            return None

    def _import(self, owner: RecordingOwner, provider_recording: ProviderRecording, nonce: str) -> Recording:
        import_recording = ImportRecording(recordings=self.recordings, new_id=self.new_id)
        return import_recording(owner, self._complete(provider_recording), nonce=nonce)

    def _complete(self, provider_recording: ProviderRecording) -> ProviderRecording:
        # `find_active` does not return whether a recording started automatically. `get` and `start` do.
        if provider_recording.auto_started is not None:
            return provider_recording
        return self.provider.get(provider_recording.cloudflare_recording_id)
