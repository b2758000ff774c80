"""Make a recording of ours out of one that Cloudflare already has."""

from dataclasses import dataclass

from recordings.domain.capture import Capture
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.recording import Failure, Recording
from recordings.domain.room import Room
from recordings.ports import Ids, Recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCapture:
    """The Cloudflare link makes it happen once, however many callers try at the same time."""

    recordings: Recordings
    new_id: Ids

    def __call__(self, room: Room, capture: Capture, *, nonce: str | None, failure: Failure | None = None) -> Recording:
        """Give the recording of this capture, made now unless it is known; with `failure` one that has no file.

        Raises RoomAlreadyRecording when the capture runs and the room is not free (`nonce`: see Recordings.add), and
        ConcurrentUpdate when our recording of it has been purged.
        """
        known = self.recordings.of_cloudflare(capture.id)
        if known is not None:
            return known
        began = capture.started_at or capture.invoked_at
        recording = Recording.begin(
            id=self.new_id(began),
            tenant_id=room.tenant_id,
            room_id=room.id,
            room_name=room.name,
            meeting_id=room.meeting_id,
            cloudflare_id=capture.id,
            origin="auto" if capture.auto_started else "api",
            at=began,
            delivery_key=capture.delivery_key,
            cause="auto_started" if capture.auto_started else "api_start",
        )
        if failure is not None:
            recording = recording.failed(failure, at=capture.stopped_at or began, cause=failure.code)
        elif not capture.status.running:
            recording = recording.ended(at=capture.stopped_at or began, cause="capture_ended")
        try:
            self.recordings.add(recording, nonce=nonce)
        except ConcurrentUpdate:
            known = self.recordings.of_cloudflare(capture.id)
            if known is None:
                raise
            return known
        return recording
