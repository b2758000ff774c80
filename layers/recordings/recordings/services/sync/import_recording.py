"""Make a recording of ours out of one that Cloudflare already has."""

from dataclasses import dataclass

from recordings.domain.errors import ConcurrentUpdate, MeetingReleased, NotOurs
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.recording import Failure, Recording
from recordings.domain.storage_keys import delivery_key
from recordings.ports.repositories import Recordings
from recordings.ports.system import Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecording:
    """The Cloudflare link makes it happen once, however many callers try at the same time."""

    recordings: Recordings
    new_id: Ids

    def __call__(
        self, owner: RecordingOwner, capture: ProviderRecording, *, nonce: str | None, failure: Failure | None = None
    ) -> Recording:
        """Give the recording of this capture, made now unless it is known; with `failure` one that has no file.

        Raises:
            NotOurs: the capture is a recording of another tenant
            MeetingReleased: the capture runs, and the owner does not hold its meeting any more
            RoomAlreadyRecording: the capture runs, and the room is not free (`nonce`: see Recordings.add)
            ConcurrentUpdate: our recording of it has been purged
        """
        known = self.recordings.find_by_cloudflare_recording_id(capture.id)
        if known is not None:
            return _of_owner(known, owner)
        if capture.status.running and not owner.holds:
            raise MeetingReleased
        began = capture.started_at or capture.invoked_at
        recording = Recording.begin(
            id=self.new_id(began),
            tenant_id=owner.tenant_id,
            room_id=owner.room_id,
            room_name=owner.room_name,
            meeting_id=owner.meeting_id,
            cloudflare_recording_id=capture.id,
            origin="auto" if capture.auto_started else "api",
            at=began,
            delivery_key=capture.delivery_key or _delivered_to(owner, capture),
            cause="auto_started" if capture.auto_started else "api_start",
        )
        if failure is not None:
            recording = recording.failed(failure, at=capture.stopped_at or began, cause=failure.code)
        elif not capture.status.running:
            recording = recording.ended(at=capture.stopped_at or began, cause="capture_ended")
        try:
            self.recordings.add(recording, lease_nonce=nonce)
        except ConcurrentUpdate:
            known = self.recordings.find_by_cloudflare_recording_id(capture.id)
            if known is None:
                raise
            return _of_owner(known, owner)
        return recording


def _delivered_to(owner: RecordingOwner, capture: ProviderRecording) -> str | None:
    """Where the file goes of a capture that we asked for, when the answer that told so was lost.

    Whether it was to be delivered at all is not known then: whoever reads there finds a file or none.
    """
    return None if capture.auto_started else delivery_key(owner.tenant_id, owner.room_id, capture.file_name)


def _of_owner(known: Recording, owner: RecordingOwner) -> Recording:
    # Whatever a meeting leads to: another tenant's recording is not to be seen, and not to be stopped.
    if known.tenant_id != owner.tenant_id:
        raise NotOurs
    return known
