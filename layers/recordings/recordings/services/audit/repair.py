"""Compare one tenant with Cloudflare, and repair what was asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from recordings.domain.errors import (
    ConcurrentUpdate,
    MeetingReleased,
    ProviderFailure,
    ProviderNotFound,
    RecordingNotFound,
    RoomAlreadyRecording,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.reconciliation import SETTLED, Action, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import FileKind, owner_of
from recordings.domain.stored_file import Store
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import OpenFindings, Recordings, Rooms
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock
from recordings.services.audit.judge import NOT_ENDED, keeps_quarantine, owned_keys
from recordings.services.audit.provider_listing import Backoff
from recordings.services.audit.report import ABSENT, Adopted, Confirmation, Mismatch, Orphan
from recordings.services.audit.scan import AuditStep, orphan_finding
from recordings.services.rooms.meeting_owner import FindOwner
from recordings.services.sync.reconcile_recording import ReconcileRecording


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareWithProvider:
    """Requests each recording that differs from Cloudflare's listing, and with `repair` changes ours to match."""

    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    reconcile: ReconcileRecording
    backoff: Backoff
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, step: AuditStep) -> None:
        """Add status mismatches and recordings that are not imported. An error makes the listing incomplete."""
        for compare in self._comparisons(step):
            if step.listing.failed:
                return
            if self.clock() >= step.until:
                step.listing.incomplete = "the time was over"
                return
            try:
                compare()
            except (ProviderFailure, Throttled) as failure:
                step.listing.fail(failure)
            except (RoomAlreadyRecording, ConcurrentUpdate, RecordingNotFound):
                # Another call changes this room or recording. The next audit sees its result.
                continue

    def _comparisons(self, step: AuditStep) -> Iterator[Callable[[], None]]:
        for recording in step.differing:
            yield partial(self._compare, step, recording)
        for owner, provider_recording in step.listing.unknown.get(step.report.tenant_id, []):
            if step.rooms.contains(owner.room_id):
                yield partial(self._compare_unknown, step, owner, provider_recording)
        if step.repair:
            for recording in step.stuck.values():
                yield partial(self._repair_stuck, step, recording)

    def _request(self, step: AuditStep, cloudflare_recording_id: str | None) -> ProviderRecording | None:
        if cloudflare_recording_id is None:
            return None
        try:
            return self.backoff(partial(self.provider.get, cloudflare_recording_id), until=step.until)
        except ProviderNotFound:
            return None

    def _compare(self, step: AuditStep, listed: Recording) -> None:
        # Cloudflare first: a change that a webhook or a sync imports meanwhile is in the record that is read then.
        provider_recording = self._request(step, listed.cloudflare_recording_id)
        recording = self.recordings.get_including_deleted(listed.tenant_id, listed.id)
        if provider_recording is None:
            if recording.status in NOT_ENDED:
                name = f"{ABSENT}:{recording.id}:{recording.cloudflare_recording_id}"
                step.absent[name] = partial(_add_absent, step, recording)
            return
        decision = reconcile(recording, provider_recording, now=self.clock(), deadlines=self.deadlines)
        if recording.id in step.stuck or decision.action in SETTLED:
            return
        step.report.mismatches.append(
            Mismatch(
                recording_id=recording.id,
                kind="status",
                recorded=recording.status.value,
                found=provider_recording.status.value,
            )
        )
        if step.repair:
            self._repair(step, recording, provider_recording)

    def _repair_stuck(self, step: AuditStep, listed: Recording) -> None:
        """Reconcile a stuck recording. One that Cloudflare does not have is left to an operator."""
        provider_recording = self._request(step, listed.cloudflare_recording_id)
        if provider_recording is not None:
            recording = self.recordings.get_including_deleted(listed.tenant_id, listed.id)
            self._repair(step, recording, provider_recording)

    def _repair(self, step: AuditStep, recording: Recording, provider_recording: ProviderRecording) -> None:
        is_running = recording.status is not Status.PROCESSING or self.executions.is_running(recording)
        decision = reconcile(
            recording, provider_recording, now=self.clock(), is_running=is_running, deadlines=self.deadlines
        )
        call = partial(self.reconcile, None, recording, provider_recording, is_running=is_running)
        changed = self.backoff(call, until=step.until)
        # A stop changes nothing in the record. Cloudflare reports the end later.
        if changed is not None or decision.action is Action.STOP:
            step.report.reconciled.append(recording.id)

    def _compare_unknown(self, step: AuditStep, listed: RecordingOwner, provider_recording: ProviderRecording) -> None:
        """Add an orphan at Cloudflare, and with `repair` import it, unless it is newer than the listing."""
        owner = self._owner_if_unknown(step, listed, provider_recording)
        if owner is None:
            return
        if reconcile(None, provider_recording, now=self.clock(), deadlines=self.deadlines).action is Action.NOTHING:
            # A track recording is not imported before it has ended.
            return
        step.report.orphans.append(
            Orphan(
                store="cloudflare",
                key=provider_recording.cloudflare_recording_id,
                size=provider_recording.size_bytes,
                at=provider_recording.invoked_at,
                room_id=owner.room_id,
            )
        )
        if step.repair:
            self._import(step, owner, provider_recording.cloudflare_recording_id)

    def _owner_if_unknown(
        self, step: AuditStep, listed: RecordingOwner, provider_recording: ProviderRecording
    ) -> RecordingOwner | None:
        """Return the owner, or None if the recording is imported by now or may be at any moment."""
        owner = FindOwner(rooms=self.rooms)(listed.meeting_id, provider_recording)
        if owner is None or owner.tenant_id != step.report.tenant_id:
            return None
        if self.recordings.find_by_cloudflare_recording_ids([provider_recording.cloudflare_recording_id]):
            return None
        room = self.rooms.find_by_meeting_id(listed.meeting_id)
        if room is not None and room.lease_until is not None and room.lease_until > self.clock():
            # A start is in progress, and this may be its recording.
            return None
        return owner

    def _import(self, step: AuditStep, owner: RecordingOwner, cloudflare_recording_id: str) -> None:
        provider_recording = self._request(step, cloudflare_recording_id)
        if provider_recording is None:
            return
        try:
            imported = self.backoff(partial(self.reconcile, owner, None, provider_recording), until=step.until)
        except MeetingReleased:
            # It runs in a meeting that no room holds. The sync imports it after its end.
            return
        if imported is not None:
            step.report.adopted.append(
                Adopted(cloudflare_recording_id=cloudflare_recording_id, recording_id=imported.id)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOrphans:
    """Deletes orphans that two complete listings confirm. It never deletes what a recording owns."""

    recordings: Recordings
    stores: Mapping[Store, ObjectStore]
    open_findings: OpenFindings
    clock: Clock

    def __call__(self, step: AuditStep) -> None:
        """Delete the confirmed orphans of a step.

        Raises:
            Throttled, InfrastructureError: DynamoDB or a bucket failed
        """
        report = step.report
        for orphan in report.orphans:
            if orphan.store == "cloudflare" or orphan.confirmation is None or not orphan.confirmation.confirmed:
                continue
            if not orphan.upload_id and self._has_no_recordings(step):
                # A table that was lost or restored looks the same: then the files are all that is left.
                report.held = True
                continue
            if self.clock() >= step.until:
                report.incomplete.append("not every orphan could be removed: the time was over")
                return
            if not self._has_owner(report.tenant_id, orphan.store, orphan.key):
                self._delete(orphan.store, orphan)
                report.removed.append(orphan)
                finding = orphan_finding(orphan.store, orphan.key, orphan.upload_id)
                self.open_findings.remove(report.tenant_id, [finding])

    def _delete(self, store: Store, orphan: Orphan) -> None:
        if orphan.upload_id:
            self.stores[store].abort_upload(orphan.key, orphan.upload_id)
        else:
            self.stores[store].delete(orphan.key)

    def _has_no_recordings(self, step: AuditStep) -> bool:
        if step.report.recordings:
            return False
        return next(iter(self.recordings.list_all(step.report.tenant_id)), None) is None

    def _has_owner(self, tenant_id: str, store: Store, key: str) -> bool:
        """Read the recording that the key names once more, directly before the deletion."""
        owner = owner_of(store, key)
        if owner is None or owner.recording_id is None:
            return False
        try:
            recording = self.recordings.get_including_deleted(tenant_id, owner.recording_id)
        except RecordingNotFound:
            return False
        if owner.kind is FileKind.QUARANTINE:
            return keeps_quarantine(recording, self.clock())
        return recording.unfinished or (store, key) in owned_keys(recording)


def _add_absent(step: AuditStep, recording: Recording, confirmation: Confirmation) -> None:
    step.report.mismatches.append(
        Mismatch(
            recording_id=recording.id,
            kind="status",
            recorded=recording.status.value,
            found=ABSENT,
            confirmation=confirmation,
        )
    )
