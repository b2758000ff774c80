"""Begin recording a room."""

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

# Longer than the function may run, so that a lease only ends under a start that has died.
LEASE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording:
    """Lock, ask Cloudflare, store: a crash after any of these is healed by the lease and by `active`.

    The lock is the stored decision, and its nonce the attempt: only who holds it still may store what it began.
    """

    rooms: Rooms
    recordings: Recordings
    recorder: RecordingProvider
    clock: Clock
    new_id: Ids
    new_nonce: Callable[[], str]

    def __call__(self, *, tenant_id: str, room_id: str, max_duration_seconds: int | None) -> Recording:
        """Raises RoomNotFound, RoomAlreadyRecording or a ProviderFailure; after any of these nothing is half done."""
        now, nonce = self.clock(), self.new_nonce()
        room = self.rooms.acquire_lock(tenant_id, room_id, nonce=nonce, now=now, until=now + LEASE)
        try:
            return self._start(room, nonce, max_duration_seconds)
        except RecordingsError:
            # Given back at once, so that the same call can be made again; a recording that took the room meanwhile
            # has ended the lease, and then this changes nothing.
            self.rooms.release_lock(tenant_id, room_id, nonce=nonce)
            raise

    def _start(self, room: Room, nonce: str, max_seconds: int | None) -> Recording:
        running = self.recorder.active(room.meeting_id)
        if running is not None:
            self._refuse(room, running, nonce)
        begun = self._begin(room, nonce, max_seconds)
        try:
            # Nothing ran in the meeting of a room that we hold before we asked: it is this room's, whatever its times.
            return self._import(RecordingOwner.of(room), begun, nonce)
        except RecordingsError:
            self._take_back(begun)
            raise

    def _take_back(self, begun: ProviderRecording) -> None:
        """End a capture that could not be stored: the caller is refused, and what nobody can see must not run."""
        try:
            self.recorder.stop(begun.id)
        except ProviderFailure:
            # It runs on; the next call finds it running, or the next sync imports it.
            pass

    def _begin(self, room: Room, nonce: str, max_seconds: int | None) -> ProviderRecording:
        try:
            return self.recorder.start(
                room.meeting_id, max_seconds=max_seconds, folder=delivery_folder(room.tenant_id, room.id)
            )
        except ProviderRefused:
            # A running recording is one reason to refuse, and its status is not documented: look.
            running = self.recorder.active(room.meeting_id)
            if running is not None:
                self._refuse(room, running, nonce)
            raise
        except ProviderFailure:
            # The order may have been carried out and its answer lost. We hold the room and saw nothing running
            # before we asked, so what runs now is ours.
            running = self.recorder.active(room.meeting_id)
            if running is None:
                raise
            told = self._told(running)
            if told.auto_started:
                # Cloudflare began by itself at the same moment.
                self._refuse(room, told, nonce)
            return told

    def _refuse(self, room: Room, running: ProviderRecording, nonce: str) -> NoReturn:
        raise RoomAlreadyRecording(
            "the room is already being recorded; stop that recording first",
            blocker=self._blocker(room, running, nonce),
        )

    def _blocker(self, room: Room, running: ProviderRecording, nonce: str) -> Recording | None:
        """What runs, as a recording of ours; None when it is not this tenant's to see."""
        owner = FindOwner(rooms=self.rooms)(room.meeting_id, running, room=room)
        if owner is None:
            return None
        try:
            return self._import(owner, self._told(running), nonce)
        except (ConcurrentUpdate, NotOurs):
            return None

    def _import(self, owner: RecordingOwner, capture: ProviderRecording, nonce: str) -> Recording:
        return ImportRecording(recordings=self.recordings, new_id=self.new_id)(owner, self._told(capture), nonce=nonce)

    def _told(self, capture: ProviderRecording) -> ProviderRecording:
        # `active` does not tell why the capture began; `get` and `start` do.
        return capture if capture.auto_started is not None else self.recorder.get(capture.id)
