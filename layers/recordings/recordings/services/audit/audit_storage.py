"""Compare what is stored, and what Cloudflare holds, with the records of one tenant.

Found are orphans (bytes that no recording owns), phantoms (recordings whose file is missing), mismatches (another size,
checksum or status than was recorded) and what is stalled. Nothing is changed unless it is asked for: then orphans are
removed that an earlier, complete listing hours ago called orphans too, captures are adopted as recordings, and what
differs from Cloudflare is brought in line. A file that a recording owns is never touched, whatever is found of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from itertools import groupby
from typing import Final, Protocol
from urllib.parse import quote

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
from recordings.domain.provider_recording import FILE_RETENTION, ProviderRecording
from recordings.domain.reconciliation import SETTLED, Action, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.domain.room_range import RoomRange
from recordings.domain.storage_keys import ROOTS, FileKind, is_below, owner_of
from recordings.domain.stored_file import Store, StoredFile
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import OpenFindings, Recordings, Rooms
from recordings.ports.system import Clock
from recordings.services.audit.audit_captures import Captures, Patience
from recordings.services.audit.audit_report import (
    ABSENT,
    APART,
    Adopted,
    Mismatch,
    Orphan,
    Phantom,
    Report,
    Stalled,
    Suspicion,
)
from recordings.services.rooms.meeting_owner import FindOwner
from recordings.services.sync.reconcile_recording import ReconcileRecording

# What is younger may belong to work that has not stored it yet.
YOUNG: Final = timedelta(days=2)
# The largest file takes about a day to move.
LONGEST_MOVE: Final = timedelta(days=2)
# So many files are looked for by their key as well. Of more than that the two listings hours apart must be enough.
CLOSE_LOOKS: Final = 1000
# So many files are held in memory at once, and the rest of the last one's room. A room makes one file at a time.
AT_ONCE: Final = 100_000


class Shelf(Protocol):
    """One of our stores."""

    def objects(self, prefix: str, *, after: str | None = None) -> Iterator[tuple[str, int, str, datetime]]:
        """Key, size, ETag and time of every file under a prefix, by key; from the first one after a key on."""

    def begun_uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        """Key, id and beginning of every unfinished upload under a prefix."""

    def entries(self, prefix: str) -> Iterator[str]:
        """The names right under a prefix; a folder's ends with a slash."""

    def head(self, key: str) -> tuple[int, str] | None:
        """Size and ETag of a file, or None."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone is no error."""

    def abort(self, key: str, upload_id: str) -> None:
        """Drop an unfinished upload; one that is gone is no error."""


class OutOfTime(Exception):
    """There is more to look at than time; nothing was concluded from what was seen."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A file, or an unfinished upload (`upload_id`), as a listing tells it."""

    store: Store
    key: str
    size: int | None
    etag: str
    at: datetime
    # The name right under the tenant's folder, with its slash: the folder of the room.
    folder: str
    upload_id: str = ""


@dataclass(slots=True)
class _Look:
    """One look at some rooms of one tenant: what is asked, what was seen, and what calls for a closer look."""

    report: Report
    rooms: RoomRange
    provider_recordings: Captures
    now: datetime
    until: datetime
    repair: bool
    read: set[str] = field(default_factory=set)
    owned: set[tuple[Store, str]] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    # Recordings whose quarantined files are theirs.
    quarantined: set[str] = field(default_factory=set)
    doubtful: list[Recording] = field(default_factory=list)
    differing: list[Recording] = field(default_factory=list)
    stuck: dict[str, Recording] = field(default_factory=dict)
    # What is missing or unowned, by the name that it is suspected under: how to report it.
    suspected: dict[str, Callable[[Suspicion], None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStorage:
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    shelves: Mapping[Store, Shelf]
    suspects: OpenFindings
    reconcile: ReconcileRecording
    patience: Patience
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(
        self,
        tenant_id: str,
        provider_recordings: Captures,
        *,
        repair: bool,
        until: datetime,
        min_age: timedelta = YOUNG,
        after: str | None = None,
    ) -> tuple[Report, str | None]:
        """Look at one tenant's rooms, those whose folders come after this one; files and uploads that are not older
        than `min_age` are no orphans. Give what was found, and, when the time was over, after which folder to go on.

        Raises OutOfTime when the time was over at once, and what the stores raise: a look that did not see everything
        of a room says nothing of it. Of Cloudflare's failures the report says that it is incomplete.
        """
        report, low = Report(tenant_id), after

        def compare(high: str | None, stored: Sequence[_Stored]) -> None:
            rooms = RoomRange(low, high)
            look = _Look(Report(tenant_id), rooms, provider_recordings, self.clock(), until, repair)
            self._look_at_rooms(look, stored, min_age)
            report.add(look.report)

        try:
            stored: list[_Stored] = []
            for folder, found in groupby(self._stored(tenant_id, after, until), key=lambda one: one.folder):
                stored += found
                if len(stored) >= AT_ONCE:
                    compare(folder, stored)
                    low, stored = folder, []
            compare(None, stored)
        except OutOfTime:
            if low == after:
                raise
            return report, low
        return report, None

    def _look_at_rooms(self, look: _Look, stored: Sequence[_Stored], min_age: timedelta) -> None:
        # The files first: what was stored while we looked is in the records by the time these are read.
        files = {(one.store, one.key): (one.size or 0, one.etag) for one in stored if not one.upload_id}
        for recording in self.recordings.list_all(look.report.tenant_id, look.rooms):
            self._in_time(look.until)
            self._read(look, recording, files)
        look.report.files = len(files)
        for one in stored:
            if look.now - one.at > min_age and not _has_owner(one, look):
                look.suspected[_name(one)] = partial(self._tell_orphan, look, one)
        for number, recording in enumerate(look.doubtful):
            self._in_time(look.until)
            self._look_for_file(look, recording, files, closely=number < CLOSE_LOOKS)
        self._look_at_cloudflare(look)
        self._judge(look)
        if look.repair:
            self._clear(look)
        look.report.compared = look.provider_recordings.incomplete is None

    def _in_time(self, until: datetime) -> None:
        if self.clock() >= until:
            raise OutOfTime

    # ---------------------------------------------------------------- our stores

    def _stored(self, tenant_id: str, after: str | None, until: datetime) -> Iterator[_Stored]:
        """What lies in the tenant's folders, whole or unfinished, room by room."""
        walks = [
            walk(store, shelf, root, f"{root}{quote(tenant_id, safe='')}/", after)
            for store, shelf in self.shelves.items()
            for root in ROOTS[store]
            for walk in (_files, _unfinished)
        ]
        for one in merge(*walks, key=lambda one: one.folder):
            self._in_time(until)
            yield one

    def _read(self, look: _Look, recording: Recording, files: Mapping[tuple[Store, str], tuple[int, str]]) -> None:
        report, file = look.report, recording.file
        report.recordings += 1
        look.read.add(recording.id)
        look.owned |= _owned_by(recording)
        if recording.unfinished:
            look.busy.add(recording.id)
        if _keeps_quarantine(recording, look.now):
            look.quarantined.add(recording.id)
        if recording.moving:
            since = recording.archived_at or recording.started_at
            if look.now - since > LONGEST_MOVE:
                report.stalled.append(Stalled(recording_id=recording.id, step="archiving", since=since))
            return
        if file is not None and _fault(file, files.get((file.store, file.key))) is not None:
            look.doubtful.append(recording)
        if self._is_stuck(recording, look.now):
            look.stuck[recording.id] = recording
            since = recording.stopped_at or recording.started_at
            report.stalled.append(Stalled(recording_id=recording.id, step="processing", since=since))
        if self._differs(recording, look):
            look.differing.append(recording)

    def _look_for_file(
        self,
        look: _Look,
        recording: Recording,
        files: Mapping[tuple[Store, str], tuple[int, str]],
        *,
        closely: bool,
    ) -> None:
        """Tell a file that is missing or another one, unless the recording or its file came after the listing."""
        file = recording.file
        if closely:
            file = self._file_of(recording)
            found = self.shelves[file.store].head(file.key) if file is not None else None
            if file is None or self._file_of(recording) != file:
                return
        elif file is not None:
            found = files.get((file.store, file.key))
        if file is None or (fault := _fault(file, found)) is None:
            return
        if found is None:
            name = f"phantom:{recording.id}:{file.store}:{file.key}"
            look.suspected[name] = partial(self._tell_phantom, look, recording.id, file)
        elif fault == "size":
            mismatch = Mismatch(recording_id=recording.id, kind="size", recorded=file.size_bytes, found=found[0])
            look.report.mismatches.append(mismatch)
        else:
            mismatch = Mismatch(recording_id=recording.id, kind="checksum", recorded=file.etag or "", found=found[1])
            look.report.mismatches.append(mismatch)

    def _file_of(self, recording: Recording) -> StoredFile | None:
        """Its file as it is now; None when it has been purged."""
        try:
            return self.recordings.get_including_deleted(recording.tenant_id, recording.id).file
        except RecordingNotFound:
            return None

    # ---------------------------------------------------------------- Cloudflare

    def _is_stuck(self, recording: Recording, now: datetime) -> bool:
        """Whether its run has given up, or has died."""
        if recording.status is not Status.PROCESSING:
            return False
        return recording.stalled or (not recording.recently_started(now) and not self.executions.is_running(recording))

    def _differs(self, recording: Recording, look: _Look) -> bool:
        """Whether the listing tells something else of it, or should tell of it and does not."""
        provider_recording = look.provider_recordings.listed.get(recording.cloudflare_recording_id or "")
        if provider_recording is None:
            # What is not in a listing is asked for by its id, but only a whole listing can lack anything.
            return recording.status in OPEN and look.provider_recordings.incomplete is None
        if recording.id in look.stuck:
            return False
        return self._act(recording, provider_recording) not in SETTLED

    def _act(self, recording: Recording, provider_recording: ProviderRecording) -> Action:
        return reconcile(recording, provider_recording, now=self.clock(), deadlines=self.deadlines).action

    def _look_at_cloudflare(self, look: _Look) -> None:
        unknown = [
            (owner, provider_recording)
            for owner, provider_recording in look.provider_recordings.unknown.get(look.report.tenant_id, [])
            if look.rooms.contains(owner.room_id)
        ]
        closer = [
            *(partial(self._compare, look, recording) for recording in look.differing),
            *(partial(self._look_at_unknown, look, owner, provider_recording) for owner, provider_recording in unknown),
            *(partial(self._bring, look, recording) for recording in look.stuck.values() if look.repair),
        ]
        for step in closer:
            if look.provider_recordings.failed:
                return
            if self.clock() >= look.until:
                look.provider_recordings.incomplete = "the time was over"
                return
            try:
                step()
            except (ProviderFailure, Throttled) as failure:
                look.provider_recordings.fail(failure)
            except (RoomAlreadyRecording, ConcurrentUpdate, RecordingNotFound):
                # Somebody else is at this very room or recording; the next look sees what they made of it.
                continue

    def _asked(self, look: _Look, cloudflare_recording_id: str | None) -> ProviderRecording | None:
        """The capture as Cloudflare tells it now, or None when it knows no such capture."""
        if cloudflare_recording_id is None:
            return None
        try:
            return self.patience(partial(self.provider.get, cloudflare_recording_id), until=look.until)
        except ProviderNotFound:
            return None

    def _compare(self, look: _Look, recording: Recording) -> None:
        # Cloudflare first: what it told a moment ago is then in the records, if a webhook or a sync brought it in.
        provider_recording = self._asked(look, recording.cloudflare_recording_id)
        ours = self.recordings.get_including_deleted(recording.tenant_id, recording.id)
        if provider_recording is None:
            if ours.status in OPEN:
                name = f"{ABSENT}:{ours.id}:{ours.cloudflare_recording_id}"
                look.suspected[name] = partial(self._tell_absent, look, ours)
            return
        if ours.id in look.stuck or self._act(ours, provider_recording) in SETTLED:
            return
        look.report.mismatches.append(
            Mismatch(
                recording_id=ours.id, kind="status", recorded=ours.status.value, found=provider_recording.status.value
            )
        )
        if look.repair:
            self._carry_out(look, ours, provider_recording)

    def _bring(self, look: _Look, recording: Recording) -> None:
        """Bring a stuck recording in line; one that Cloudflare does not know (any more) is left to a person."""
        provider_recording = self._asked(look, recording.cloudflare_recording_id)
        if provider_recording is not None:
            self._carry_out(
                look, self.recordings.get_including_deleted(recording.tenant_id, recording.id), provider_recording
            )

    def _carry_out(self, look: _Look, recording: Recording, provider_recording: ProviderRecording) -> None:
        alive = recording.status is not Status.PROCESSING or self.executions.is_running(recording)
        act = reconcile(
            recording, provider_recording, now=self.clock(), is_running=alive, deadlines=self.deadlines
        ).action
        changed = self.patience(
            partial(self.reconcile, None, recording, provider_recording, is_running=alive), until=look.until
        )
        # A stop changes nothing here: Cloudflare tells of it.
        if changed is not None or act is Action.STOP:
            look.report.reconciled.append(recording.id)

    def _look_at_unknown(self, look: _Look, listed: RecordingOwner, provider_recording: ProviderRecording) -> None:
        """Tell a capture that no recording belongs to, and adopt it; unless one came after the listing."""
        owner = FindOwner(rooms=self.rooms)(listed.meeting_id, provider_recording)
        if (
            owner is None
            or owner.tenant_id != look.report.tenant_id
            or self.recordings.find_by_cloudflare_recording_ids([provider_recording.cloudflare_recording_id])
        ):
            return
        room = self.rooms.find_by_meeting_id(listed.meeting_id)
        if room is not None and room.lease_until is not None and room.lease_until > self.clock():
            # A start is under way, and this may be what it has just begun.
            return
        if reconcile(None, provider_recording, now=self.clock(), deadlines=self.deadlines).action is Action.NOTHING:
            # A track recording that runs: it is not imported before it has ended.
            return
        look.report.orphans.append(
            Orphan(
                store="cloudflare",
                key=provider_recording.cloudflare_recording_id,
                size=provider_recording.size_bytes,
                at=provider_recording.invoked_at,
                room_id=owner.room_id,
            )
        )
        if look.repair:
            found = self._asked(look, provider_recording.cloudflare_recording_id)
            if found is None:
                return
            try:
                made = self.patience(partial(self.reconcile, owner, None, found), until=look.until)
            except MeetingReleased:
                # It still runs where no room is: the sync brings it in when it has ended.
                return
            if made is not None:
                look.report.adopted.append(
                    Adopted(cloudflare_recording_id=provider_recording.cloudflare_recording_id, recording_id=made.id)
                )

    # ---------------------------------------------------------------- judging, and clearing away

    def _judge(self, look: _Look) -> None:
        """Report what is suspected, with what earlier looks say of it, and remember it for the next one."""
        tenant_id = look.report.tenant_id
        before = self.suspects.get_all(tenant_id)
        for name, tell in look.suspected.items():
            since = before.get(name, look.now)
            tell(Suspicion(since=since, confirmed=look.now - since >= APART))
        gone = [
            name
            for name in before
            if name not in look.suspected
            and _is_in(look, name)
            # Of Cloudflare only a whole comparison can clear anybody.
            and not (name.startswith(f"{ABSENT}:") and look.provider_recordings.incomplete is not None)
        ]
        self.suspects.remove(tenant_id, gone)
        self.suspects.add(tenant_id, [name for name in look.suspected if name not in before], at=look.now)

    def _tell_orphan(self, look: _Look, one: _Stored, suspicion: Suspicion) -> None:
        look.report.orphans.append(
            Orphan(store=one.store, key=one.key, size=one.size, at=one.at, upload_id=one.upload_id, suspicion=suspicion)
        )

    def _tell_phantom(self, look: _Look, recording_id: str, file: StoredFile, suspicion: Suspicion) -> None:
        look.report.phantoms.append(
            Phantom(recording_id=recording_id, store=file.store, key=file.key, suspicion=suspicion)
        )

    def _tell_absent(self, look: _Look, recording: Recording, suspicion: Suspicion) -> None:
        look.report.mismatches.append(
            Mismatch(
                recording_id=recording.id,
                kind="status",
                recorded=recording.status.value,
                found=ABSENT,
                suspicion=suspicion,
            )
        )

    def _clear(self, look: _Look) -> None:
        """Remove the orphans in our stores that two complete listings hours apart agree on."""
        report = look.report
        for orphan in report.orphans:
            if orphan.suspicion is None or not orphan.suspicion.confirmed or orphan.store == "cloudflare":
                continue
            if not report.recordings and not orphan.upload_id and not self._has_recordings(report.tenant_id):
                # So does a table look that was lost or restored: files are then all that is left.
                report.held = True
                continue
            if self.clock() >= look.until:
                report.incomplete.append("not every orphan could be removed: the time was over")
                return
            if self._has_found_owner(report.tenant_id, orphan.store, orphan.key):
                continue
            shelf = self.shelves[orphan.store]
            if orphan.upload_id:
                shelf.abort(orphan.key, orphan.upload_id)
            else:
                shelf.delete(orphan.key)
            report.removed.append(orphan)
            self.suspects.remove(report.tenant_id, [_suspect(orphan.store, orphan.key, orphan.upload_id)])

    def _has_recordings(self, tenant_id: str) -> bool:
        return next(iter(self.recordings.list_all(tenant_id)), None) is not None

    def _has_found_owner(self, tenant_id: str, store: Store, key: str) -> bool:
        """The last look before a file goes: at the recording that its key names."""
        owner = owner_of(store, key)
        if owner is None or owner.recording_id is None:
            return False
        try:
            recording = self.recordings.get_including_deleted(tenant_id, owner.recording_id)
        except RecordingNotFound:
            return False
        if owner.kind is FileKind.QUARANTINE:
            return _keeps_quarantine(recording, self.clock())
        return recording.unfinished or (store, key) in _owned_by(recording)


OPEN: Final = frozenset({Status.RECORDING, Status.PROCESSING})


def _owned_by(recording: Recording) -> set[tuple[Store, str]]:
    owned: set[tuple[Store, str]] = set()
    if recording.file is not None:
        owned.add((recording.file.store, recording.file.key))
    if recording.delivery_key is not None and (recording.file is None or recording.file.key == recording.delivery_key):
        owned.add(("r2", recording.delivery_key))
    archive = recording.archive
    if archive is not None and archive.moved_from is not None and archive.source_kept_until is not None:
        # URLs of it were given out, and work until then.
        owned.add(("r2", archive.moved_from))
    return owned


def _has_owner(one: _Stored, look: _Look) -> bool:
    # What an open recording is being made of lies below its id.
    if (one.store, one.key) in look.owned:
        return True
    owner = owner_of(one.store, one.key)
    if owner is None or owner.recording_id is None:
        return False
    return owner.recording_id in (look.quarantined if owner.kind is FileKind.QUARANTINE else look.busy)


def _keeps_quarantine(recording: Recording, now: datetime) -> bool:
    """Whether what was not accepted is still kept: until Cloudflare's copy is gone, or the recording has its file."""
    return recording.unfinished or (recording.status is Status.FAILED and now - recording.created_at <= FILE_RETENTION)


def _fault(file: StoredFile, found: tuple[int, str] | None) -> str | None:
    """What is wrong with a file that has this size and ETag; one whose ETag was never noted is not compared by it."""
    if found is None:
        return "missing"
    if found[0] != file.size_bytes:
        return "size"
    return "checksum" if file.etag is not None and found[1] != file.etag else None


def _files(store: Store, shelf: Shelf, root: str, prefix: str, after: str | None) -> Iterator[_Stored]:
    # Keys below the room's folder are of letters, digits and less than "~"; others would only be seen again. Below a
    # file that lies in no room's folder there is nothing: rooms whose names begin like its own come right after it.
    last = f"{prefix}{after}{'~' if after.endswith('/') else ''}" if after is not None else None
    for key, size, etag, at in shelf.objects(prefix, after=last):
        folder = _folder(key, prefix)
        if is_below(root, key) and (after is None or folder > after):
            yield _Stored(store, key, size, etag, at, folder)


def _unfinished(store: Store, shelf: Shelf, root: str, prefix: str, after: str | None) -> Iterator[_Stored]:
    # There are few at any time, and whether every store lists them by their keys is not certain.
    for key, upload_id, at in sorted(shelf.begun_uploads(prefix), key=lambda found: _folder(found[0], prefix)):
        folder = _folder(key, prefix)
        if is_below(root, key) and (after is None or folder > after):
            yield _Stored(store, key, None, "", at, folder, upload_id)


def _folder(key: str, prefix: str) -> str:
    name, slash, _ = key.removeprefix(prefix).partition("/")
    return name + slash


def _is_in(look: _Look, name: str) -> bool:
    """Whether what is suspected under this name is of the rooms that are looked at."""
    kind, _, rest = name.partition(":")
    if look.rooms.whole:
        return True
    if kind not in ROOTS:
        return rest.partition(":")[0] in look.read
    tenant, key = quote(look.report.tenant_id, safe=""), rest.rpartition(":")[0]
    prefixes = (
        f"{root}{tenant}/" for store, roots in ROOTS.items() for root in roots if store == kind and is_below(root, key)
    )
    prefix = next((one for one in prefixes if key.startswith(one)), None)
    return prefix is not None and look.rooms.contains_folder(_folder(key, prefix))


def _name(one: _Stored) -> str:
    return _suspect(one.store, one.key, one.upload_id)


def _suspect(store: Store, key: str, upload_id: str) -> str:
    return f"{store}:{key}:{upload_id}"
