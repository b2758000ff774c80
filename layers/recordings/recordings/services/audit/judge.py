"""Compare the records of one tenant with its files, and decide which findings are confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import quote

from recordings.domain.errors import RecordingNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.objects import ObjectHead
from recordings.domain.provider_recording import FILE_RETENTION
from recordings.domain.reconciliation import SETTLED, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import ROOTS, FileKind, is_below, owner_of
from recordings.domain.stored_file import Store, StoredFile
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.repositories import OpenFindings, Recordings
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock
from recordings.services.audit.report import (
    ABSENT,
    MIN_CONFIRMATION_INTERVAL,
    Confirmation,
    Mismatch,
    Orphan,
    Phantom,
    Stalled,
)
from recordings.services.audit.scan import AuditStep, StoredObject, folder_of

# A younger object may belong to work that has not stored it yet.
MIN_ORPHAN_AGE: Final = timedelta(days=2)
# The largest file takes about a day to move.
MAX_MOVE_DURATION: Final = timedelta(days=2)
# So many files of one step are also requested by their key. For the others the two listings must be enough.
MAX_FILES_REQUESTED: Final = 1000
NOT_ENDED: Final = frozenset({Status.RECORDING, Status.PROCESSING})

# Size and ETag of files by store and key.
type Files = Mapping[tuple[Store, str], ObjectHead]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeFiles:
    """Finds orphans, phantoms, files that differ, and stuck recordings."""

    recordings: Recordings
    executions: ProcessingExecutions
    stores: Mapping[Store, ObjectStore]
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, step: AuditStep, objects: Sequence[StoredObject], *, min_age: timedelta) -> None:
        """Add the findings of a step. An object that is not older than `min_age` is no orphan.

        Raises:
            OutOfTime: the time of the audit is over
            Throttled, InfrastructureError: DynamoDB, Step Functions or a bucket failed
        """
        # The objects were listed first: what was stored meanwhile is in the records that are read now.
        files = {(one.store, one.key): ObjectHead(one.size or 0, one.etag) for one in objects if not one.upload_id}
        for recording in self.recordings.list_all(step.report.tenant_id, step.rooms):
            step.check_time(self.clock)
            self._read(step, recording, files)
        step.report.files = len(files)
        for found in objects:
            if step.now - found.at > min_age and not _has_owner(found, step):
                step.absent[found.finding] = partial(_add_orphan, step, found)
        for number, recording in enumerate(step.suspicious):
            step.check_time(self.clock)
            self._check_file(step, recording, files, by_key=number < MAX_FILES_REQUESTED)

    def _read(self, step: AuditStep, recording: Recording, files: Files) -> None:
        step.report.recordings += 1
        step.read.add(recording.id)
        step.owned |= owned_keys(recording)
        if recording.unfinished:
            step.unfinished.add(recording.id)
        if keeps_quarantine(recording, step.now):
            step.quarantined.add(recording.id)
        if recording.moving:
            self._check_move(step, recording)
        else:
            self._check_recording(step, recording, files)

    def _check_move(self, step: AuditStep, recording: Recording) -> None:
        since = recording.archived_at or recording.started_at
        if step.now - since > MAX_MOVE_DURATION:
            step.report.stalled.append(Stalled(recording_id=recording.id, step="archiving", since=since))

    def _check_recording(self, step: AuditStep, recording: Recording, files: Files) -> None:
        file = recording.file
        if file is not None and _fault(file, files.get((file.store, file.key))) is not None:
            step.suspicious.append(recording)
        if self._is_stuck(recording, step.now):
            step.stuck[recording.id] = recording
            since = recording.stopped_at or recording.started_at
            step.report.stalled.append(Stalled(recording_id=recording.id, step="processing", since=since))
        if self._differs(recording, step):
            step.differing.append(recording)

    def _is_stuck(self, recording: Recording, now: datetime) -> bool:
        """Return whether the execution has given up or died."""
        if recording.status is not Status.PROCESSING:
            return False
        return recording.stalled or (not recording.recently_started(now) and not self.executions.is_running(recording))

    def _differs(self, recording: Recording, step: AuditStep) -> bool:
        """Return whether Cloudflare's listing differs from the recording, or should contain it and does not."""
        provider_recording = step.listing.listed.get(recording.cloudflare_recording_id or "")
        if provider_recording is None:
            # Only a complete listing proves an absence. The recording is then requested by its id.
            return recording.status in NOT_ENDED and step.listing.incomplete is None
        if recording.id in step.stuck:
            return False
        decision = reconcile(recording, provider_recording, now=self.clock(), deadlines=self.deadlines)
        return decision.action not in SETTLED

    def _check_file(self, step: AuditStep, recording: Recording, files: Files, *, by_key: bool) -> None:
        """Add a phantom or a mismatch, unless the recording or its file is newer than the listing."""
        file = recording.file
        if by_key:
            file = self._file_of(recording)
            found = self.stores[file.store].head(file.key) if file is not None else None
            if self._file_of(recording) != file:
                return
        elif file is not None:
            found = files.get((file.store, file.key))
        if file is None or (fault := _fault(file, found)) is None:
            return
        if found is None:
            name = f"phantom:{recording.id}:{file.store}:{file.key}"
            step.absent[name] = partial(_add_phantom, step, recording.id, file)
            return
        recorded, actual = (file.size_bytes, found.size) if fault == "size" else (file.etag or "", found.etag)
        step.report.mismatches.append(
            Mismatch(
                recording_id=recording.id,
                kind="size" if fault == "size" else "checksum",
                recorded=recorded,
                found=actual,
            )
        )

    def _file_of(self, recording: Recording) -> StoredFile | None:
        """Return the present file of a recording, or None if the recording was purged."""
        try:
            return self.recordings.get_including_deleted(recording.tenant_id, recording.id).file
        except RecordingNotFound:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmFindings:
    """Adds findings of absence to the report. An earlier audit confirms them."""

    open_findings: OpenFindings

    def __call__(self, step: AuditStep) -> None:
        """Report what is absent, and store it for the confirmation by a later audit.

        Raises:
            Throttled, InfrastructureError: DynamoDB failed
        """
        tenant_id = step.report.tenant_id
        before = self.open_findings.get_all(tenant_id)
        for name, add_to_report in step.absent.items():
            since = before.get(name, step.now)
            add_to_report(Confirmation(since=since, confirmed=step.now - since >= MIN_CONFIRMATION_INTERVAL))
        self.open_findings.remove(tenant_id, [name for name in before if self._is_disproved(step, name)])
        self.open_findings.add(tenant_id, [name for name in step.absent if name not in before], at=step.now)

    def _is_disproved(self, step: AuditStep, name: str) -> bool:
        """Return whether this step checked a finding of an earlier audit, and it is not absent."""
        if name in step.absent or not _is_in_rooms(step, name):
            return False
        # Only a complete listing of Cloudflare disproves it.
        return not (name.startswith(f"{ABSENT}:") and step.listing.incomplete is not None)


def owned_keys(recording: Recording) -> set[tuple[Store, str]]:
    """Return store and key of each file that a recording owns."""
    owned: set[tuple[Store, str]] = set()
    if recording.file is not None:
        owned.add((recording.file.store, recording.file.key))
    if recording.delivery_key is not None and (recording.file is None or recording.file.key == recording.delivery_key):
        owned.add(("r2", recording.delivery_key))
    archive = recording.archive
    if archive is not None and archive.moved_from is not None and archive.source_kept_until is not None:
        # Presigned URLs of it work until then.
        owned.add(("r2", archive.moved_from))
    return owned


def keeps_quarantine(recording: Recording, now: datetime) -> bool:
    """Return whether quarantined files are kept: until the recording has its file, or Cloudflare deletes its copy."""
    if recording.unfinished:
        return True
    return recording.status is Status.FAILED and now - recording.created_at <= FILE_RETENTION


def _has_owner(found: StoredObject, step: AuditStep) -> bool:
    if (found.store, found.key) in step.owned:
        return True
    owner = owner_of(found.store, found.key)
    if owner is None or owner.recording_id is None:
        return False
    # The attempts of an unfinished recording write below its id.
    return owner.recording_id in (step.quarantined if owner.kind is FileKind.QUARANTINE else step.unfinished)


def _fault(file: StoredFile, found: ObjectHead | None) -> str | None:
    """Return how an object of this size and ETag differs from the file. A file without an ETag is compared by size."""
    if found is None:
        return "absent"
    if found.size != file.size_bytes:
        return "size"
    return "checksum" if file.etag is not None and found.etag != file.etag else None


def _add_orphan(step: AuditStep, found: StoredObject, confirmation: Confirmation) -> None:
    step.report.orphans.append(
        Orphan(
            store=found.store,
            key=found.key,
            size=found.size,
            at=found.at,
            upload_id=found.upload_id,
            confirmation=confirmation,
        )
    )


def _add_phantom(step: AuditStep, recording_id: str, file: StoredFile, confirmation: Confirmation) -> None:
    step.report.phantoms.append(
        Phantom(recording_id=recording_id, store=file.store, key=file.key, confirmation=confirmation)
    )


def _is_in_rooms(step: AuditStep, name: str) -> bool:
    """Return whether a finding belongs to the rooms of this step."""
    kind, _, rest = name.partition(":")
    if step.rooms.whole:
        return True
    if kind not in ROOTS:
        return rest.partition(":")[0] in step.read
    tenant, key = quote(step.report.tenant_id, safe=""), rest.rpartition(":")[0]
    prefixes = (
        f"{root}{tenant}/" for store, roots in ROOTS.items() for root in roots if store == kind and is_below(root, key)
    )
    prefix = next((one for one in prefixes if key.startswith(one)), None)
    return prefix is not None and step.rooms.contains_folder(folder_of(key, prefix))
