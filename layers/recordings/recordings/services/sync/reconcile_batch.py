"""Compare recordings with Cloudflare, each by its id, and change what differs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import batched
from typing import Final

from recordings.domain.errors import (
    ConcurrentUpdate,
    InfrastructureError,
    MeetingReleased,
    NotFound,
    ProviderFailure,
    ProviderNotFound,
    ProviderThrottled,
    RoomAlreadyRecording,
)
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.reconciliation import Deadlines
from recordings.domain.recording import Recording
from recordings.domain.sync import BatchResult, SyncItem
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, RetryQueue, Rooms, SyncLease
from recordings.ports.system import Clock
from recordings.services.rooms.meeting_owner import FindOwner, SettleMeeting
from recordings.services.sync.begin_sync import LEASE_DURATION
from recordings.services.sync.reconcile_recording import ReconcileRecording
from recordings.services.sync.resume_archive import ResumeArchive
from recordings.services.sync.scan_provider_recordings import is_expiring
from recordings.services.transfer.late_delivery import RemoveLateDelivery

# DynamoDB returns 100 items at most for one BatchGetItem (DynamoDB API Reference).
LOOKUP_BATCH_SIZE: Final = 100


type During = Callable[[SyncItem], AbstractContextManager[object]]


def _no_context(item: SyncItem) -> AbstractContextManager[object]:
    """Default for `during`: add nothing to the log."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileBatch:
    """`during` is entered for each item, so that log lines name the recording that they are about."""

    lease: SyncLease
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    resume_archive: ResumeArchive
    remove_late_delivery: RemoveLateDelivery
    retry_queue: RetryQueue
    reconcile: ReconcileRecording
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)
    during: During = _no_context

    def __call__(self, items: Sequence[SyncItem], *, nonce: str) -> BatchResult:
        """Process each item. Safe to repeat. Renews the lease if `nonce` still holds it.

        A failing item does not stop the batch. It goes to the retry queue, and the next sync processes it again.

        Raises:
            ProviderThrottled: Cloudflare's rate limit is reached
            Throttled: DynamoDB, Step Functions or a bucket is busy or does not respond
        """
        self.lease.renew(nonce=nonce, until=self.clock() + LEASE_DURATION)
        result = BatchResult()
        for item in items:
            if not self._succeeds(item, result):
                result.queued += 1
                if not item.queued:
                    self.retry_queue.add(replace(item, queued=True))
            elif item.queued:
                self.retry_queue.remove(item)
        return result

    def _succeeds(self, item: SyncItem, result: BatchResult) -> bool:
        try:
            with self.during(item):
                return self._process(item, result)
        except ProviderThrottled:
            raise
        except (ProviderFailure, InfrastructureError):
            # InfrastructureError: R2 may refuse its key while other items need no R2. The error has its own alarm.
            return False
        except NotFound:
            # The recording was purged, or the room deleted, since the scan.
            return True

    def _process(self, item: SyncItem, result: BatchResult) -> bool:
        """Return False if the next sync must process the item again."""
        if item.cloudflare_recording_id is None and item.recording_id is None:
            return self._import_meeting(item.meeting_id or "", result)
        recording = self._recording_of(item)
        if recording is None:
            return self._import(item, result)
        if recording.archive_unfinished:
            return self._resume(recording, result)
        if recording.superseded_delivery is not None:
            result.removed += self.remove_late_delivery(recording)
            return True
        provider_recording = self._provider_recording(item.cloudflare_recording_id)
        if provider_recording is not None and is_expiring(recording, provider_recording, self.clock()):
            result.expiring += 1
        return self._reconcile(None, recording, provider_recording, result)

    def _recording_of(self, item: SyncItem) -> Recording | None:
        if item.tenant_id is not None and item.recording_id is not None:
            return self.recordings.get_including_deleted(item.tenant_id, item.recording_id)
        # A webhook or another sync may have imported it since the scan.
        return self.recordings.find_by_cloudflare_recording_id(item.cloudflare_recording_id or "")

    def _resume(self, recording: Recording, result: BatchResult) -> bool:
        try:
            result.changed += self.resume_archive(recording)
        except ConcurrentUpdate:
            # Another call changes this recording. The next sync compares with its result.
            pass
        return True

    def _import(self, item: SyncItem, result: BatchResult) -> bool:
        if not self._is_made_in_its_meeting(item):
            return True
        provider_recording = self._provider_recording(item.cloudflare_recording_id)
        owner = self._owner(item.meeting_id, provider_recording)
        return self._reconcile(owner, None, provider_recording, result)

    def _is_made_in_its_meeting(self, item: SyncItem) -> bool:
        if item.meeting_id is None or self.rooms.find_meeting_ownership(item.meeting_id) is None:
            return False
        # If only the file's name says which meeting it is, the meeting's own list must contain the recording.
        return item.meeting_confirmed or item.cloudflare_recording_id in {
            provider_recording.cloudflare_recording_id
            for provider_recording in self.provider.list_by_meeting(item.meeting_id)
        }

    def _import_meeting(self, meeting_id: str, result: BatchResult) -> bool:
        """Import what was recorded while the tenant owned the meeting, and set the meeting's record-on-start."""
        if self.rooms.find_meeting_ownership(meeting_id) is None:
            return True
        SettleMeeting(rooms=self.rooms, provider=self.provider).repair(meeting_id)
        done = True
        for batch in batched(self.provider.list_by_meeting(meeting_id), LOOKUP_BATCH_SIZE, strict=False):
            known = self.recordings.find_by_cloudflare_recording_ids(
                [provider_recording.cloudflare_recording_id for provider_recording in batch]
            )
            for provider_recording in batch:
                if provider_recording.cloudflare_recording_id not in known:
                    owner = self._owner(meeting_id, provider_recording)
                    done = self._reconcile(owner, None, provider_recording, result) and done
        return done

    def _owner(self, meeting_id: str | None, provider_recording: ProviderRecording | None) -> RecordingOwner | None:
        if meeting_id is None or provider_recording is None:
            return None
        return FindOwner(rooms=self.rooms)(meeting_id, provider_recording)

    def _reconcile(
        self,
        owner: RecordingOwner | None,
        recording: Recording | None,
        provider_recording: ProviderRecording | None,
        result: BatchResult,
    ) -> bool:
        try:
            changed = self.reconcile(
                owner,
                recording,
                provider_recording,
                is_running=self._is_running(recording),
                session_ended_at=self._session_ended_at(recording, provider_recording),
            )
        except (RoomAlreadyRecording, MeetingReleased):
            # A start of this room is in progress, a second recording runs beside the first, or it runs in a meeting
            # that no room holds. It can be imported once that is over.
            return False
        except ConcurrentUpdate:
            # Another call changes this recording. The next sync compares with its result.
            return True
        result.changed += changed is not None
        return True

    def _session_ended_at(
        self, recording: Recording | None, provider_recording: ProviderRecording | None
    ) -> datetime | None:
        """Return when the session of a long recording ended. None if it has not, or the recording is not long."""
        if recording is None or provider_recording is None or provider_recording.session_id is None:
            return None
        if recording.status is not Status.RECORDING or not provider_recording.status.running:
            return None
        if self.clock() - recording.started_at < self.deadlines.session:
            return None
        return self.provider.find_session_end(provider_recording.session_id)

    def _provider_recording(self, cloudflare_recording_id: str | None) -> ProviderRecording | None:
        if cloudflare_recording_id is None:
            return None
        try:
            return self.provider.get(cloudflare_recording_id)
        except ProviderNotFound:
            return None

    def _is_running(self, recording: Recording | None) -> bool:
        return recording is None or recording.status is not Status.PROCESSING or self.executions.is_running(recording)
