"""Store a recording that Cloudflare already has."""

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
    """The Cloudflare link is written conditionally, so concurrent calls import a recording once."""

    recordings: Recordings
    new_id: Ids

    def __call__(
        self,
        owner: RecordingOwner,
        provider_recording: ProviderRecording,
        *,
        nonce: str | None,
        failure: Failure | None = None,
    ) -> Recording:
        """Return our recording of this Cloudflare recording. Import it if it is not in the table.

        With `failure` it is imported as failed. `nonce`: the lease, see `Recordings.add`.

        Raises:
            NotOurs: the recording belongs to another tenant
            MeetingReleased: it runs, and the owner no longer holds its meeting
            RoomAlreadyRecording: it runs, and the room is locked
            ConcurrentUpdate: our recording of it was purged
            Throttled: DynamoDB is busy or does not respond
        """
        known = self.recordings.find_by_cloudflare_recording_id(provider_recording.cloudflare_recording_id)
        if known is not None:
            return _checked(known, owner)
        if provider_recording.status.running and not owner.holds:
            raise MeetingReleased
        recording = self._new(owner, provider_recording, failure)
        try:
            return self.recordings.add(recording, lease_nonce=nonce)
        except ConcurrentUpdate:
            known = self.recordings.find_by_cloudflare_recording_id(provider_recording.cloudflare_recording_id)
            if known is None:
                raise
            return _checked(known, owner)

    def _new(self, owner: RecordingOwner, provider_recording: ProviderRecording, failure: Failure | None) -> Recording:
        began_at = provider_recording.started_at or provider_recording.invoked_at
        recording = Recording.begin(
            id=self.new_id(began_at),
            tenant_id=owner.tenant_id,
            room_id=owner.room_id,
            room_name=owner.room_name,
            meeting_id=owner.meeting_id,
            cloudflare_recording_id=provider_recording.cloudflare_recording_id,
            origin="auto" if provider_recording.auto_started else "api",
            at=began_at,
            delivery_key=provider_recording.delivery_key or _expected_delivery_key(owner, provider_recording),
            cause="auto_started" if provider_recording.auto_started else "api_start",
        )
        ended_at = provider_recording.stopped_at or began_at
        if failure is not None:
            return recording.failed(failure, at=ended_at, cause=failure.code)
        if not provider_recording.status.running:
            return recording.ended(at=ended_at, cause="capture_ended")
        return recording


def _expected_delivery_key(owner: RecordingOwner, provider_recording: ProviderRecording) -> str | None:
    """Return where Cloudflare delivers the file of a recording whose start response was lost.

    It is not known whether delivery was requested at all. Readers must expect that there is no file.
    """
    if provider_recording.auto_started:
        return None
    return delivery_key(owner.tenant_id, owner.room_id, provider_recording.file_name)


def _checked(known: Recording, owner: RecordingOwner) -> Recording:
    # A meeting must never give access to another tenant's recording.
    if known.tenant_id != owner.tenant_id:
        raise NotOurs
    return known
