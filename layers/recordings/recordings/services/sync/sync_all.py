"""Bring all recordings in line with Cloudflare, from the newest capture back to where the last sync began.

Nobody waits for it: what a webhook lost, what began by itself, what got stuck and what died comes right here.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Final, Protocol

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
from recordings.domain.meeting import RecordingOwner, owner_of
from recordings.domain.provider_recording import KEPT, ProviderRecording, begun_since, reaches_beyond
from recordings.domain.reconciliation import SETTLED, Act, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, RetryQueue, Rooms, SyncItem
from recordings.ports.system import Clock
from recordings.services.rooms.meeting_owner import FindOwner, SettleMeeting
from recordings.services.sync.reconcile_recording import ReconcileRecording
from recordings.services.sync.resume_archive import ResumeArchive
from recordings.services.transfer.late_delivery import RemoveLateDelivery

BATCH: Final = 20
# Captures of a meeting that are compared with ours by one read (BatchGetItem's limit).
AT_A_TIME: Final = 100
# What one scan hands on must fit the 256 KiB of a workflow's state (Step Functions, "Quotas"): so many pages, no
# further one once its looks take so many bytes, which leaves room for a page of the longest names, and of our own lists
# so many bytes, by lot: who is not drawn has its turn in a later run.
PAGES: Final = 8
MOST_LISTED: Final = 90 * 1024
MOST_OWN: Final = 70 * 1024
# A listing may lag, and clocks differ: rows this much older than the watermark are looked at again.
OVERLAP: Final = timedelta(hours=1)
FULL_EVERY: Final = timedelta(days=1)
# A file that Cloudflare drops this soon and that is not ours yet is for a person to know of.
EXPIRES_SOON: Final = timedelta(hours=48)
# Longer than a step of a run may take with the longest pause before it. Each scan and each batch holds it anew: only a
# run that has died holds it to the end.
LEASE: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """Where a run takes up: the watermark, whether this one walks the list as far as there may be files, and when the
    last one began. Without a watermark it walks to the very end."""

    watermark: datetime | None
    full: bool
    last: datetime | None = None


class SyncLease(Protocol):
    """What is kept from one run to the next, and who runs now."""

    def begin(self, *, nonce: str, now: datetime, until: datetime) -> SyncWindow | None:
        """Take the run, or give None while another has it; who has it already (by `nonce`) takes it again."""

    def renew(self, *, nonce: str, until: datetime) -> None:
        """Hold the run longer. Nothing when it was lost meanwhile."""

    def end(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        """Give the run back; what is not None is kept for the next one. Nothing when it was lost meanwhile."""


@dataclass(slots=True)
class Scan:
    """What some pages held: what to look at, the newest capture, what belongs to no room, and where to go on.

    `unfinished`: how many recordings of all tenants are in a state that is not final, by their status, or `stalled`.
    """

    batches: list[list[SyncItem]] = field(default_factory=list)
    newest: datetime | None = None
    seen: int = 0
    unregistered: int = 0
    next_page: int | None = None
    unfinished: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanProviderRecordings:
    """Compare every row with what we have; only what differs is handed on."""

    rooms: Rooms
    recordings: Recordings
    recorder: RecordingProvider
    kept: RetryQueue
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, begun: SyncWindow, page: int) -> Scan:
        """Walk a few pages from this one on, and with the first ones also our own lists of what is open and kept.

        Raises a ProviderFailure; then the watermark stays and the next run sees the same again.
        """
        scan, looks, listed = Scan(), dict[str | None, SyncItem](), dict[str, ProviderRecording]()
        oldest = None
        if begun.watermark is not None:
            back = begun.watermark - OVERLAP
            # What is older than Cloudflare keeps was seen by the very first walk.
            oldest = min(back, self.clock() - KEPT) if begun.full else back
        number, more, size = page, True, 0
        while more and number < page + PAGES and size < MOST_LISTED:
            captures, more = self.recorder.recent(number)
            known = self.recordings.find_by_cloudflare_recording_ids([capture.id for capture in captures])
            if oldest is not None:
                more = more and not reaches_beyond(captures, oldest)
                captures = [*begun_since(captures, oldest)]
            for capture in captures:
                listed[capture.id] = capture
                # A time that is yet to come would hide all that begins until then.
                began = min(capture.invoked_at, self.clock())
                scan.newest = max(scan.newest or began, began)
                look = self._compared(capture, known, scan, full=begun.full)
                if look is not None and capture.id not in looks:
                    looks[capture.id] = look
                    size += _size(look)
            number += 1
        scan.seen = len(listed)
        if page == 1:
            looks |= self._own(looks, listed, begun.last, scan)
        scan.next_page = number if more else None
        scan.batches = [list(some) for some in batched(looks.values(), BATCH, strict=False)]
        return scan

    def _own(
        self,
        looks: Mapping[str | None, SyncItem],
        listed: Mapping[str, ProviderRecording],
        last: datetime | None,
        scan: Scan,
    ) -> Mapping[str | None, SyncItem]:
        """What is to be looked at whatever the listing says: what was kept, and what is open and may be stuck."""
        own = {kept["capture_id"] or kept["meeting_id"]: kept for kept in self.kept.all()}
        for recording in self.recordings.list_unfinished():
            scan.unfinished["stalled" if recording.stalled else recording.status.value] += 1
            name = recording.cloudflare_recording_id or recording.id
            if name not in looks and name not in own and self._calls_for_a_look(recording, listed, last):
                own[name] = _of(recording)
        return _drawn(own)

    def _compared(
        self, capture: ProviderRecording, known: Mapping[str, Recording | None], scan: Scan, *, full: bool
    ) -> SyncItem | None:
        if capture.id not in known:
            meeting_id = capture.meeting_id or capture.likely_meeting_id
            ownership = self.rooms.find_meeting_ownership(meeting_id) if meeting_id is not None else None
            if owner_of(ownership, capture, holding_room=None) is None:
                scan.unregistered += 1
                return None
            if reconcile(None, capture, now=self.clock(), deadlines=self.deadlines).act is Act.NOTHING:
                # A track recording that runs: it is not imported before it has ended.
                return None
            return SyncItem(
                capture_id=capture.id,
                meeting_id=meeting_id,
                sure=capture.meeting_id is not None,
                tenant_id=None,
                recording_id=None,
                kept=False,
            )
        ours = known[capture.id]
        if ours is None:
            return None
        now = self.clock()
        if is_expiring(ours, capture, now):
            return _of(ours)
        if full and ours.superseded_delivery is not None:
            # Once a day, for as long as Cloudflare may still deliver.
            return _of(ours)
        verdict = reconcile(ours, capture, now=now, deadlines=self.deadlines)
        if verdict.act in SETTLED and verdict.missing_since == ours.missing_since:
            return None
        return _of(ours)

    def _calls_for_a_look(
        self, recording: Recording, listed: Mapping[str, ProviderRecording], last: datetime | None
    ) -> bool:
        """Whether an open recording needs one that the listing did not call for; `last`: when the last run began."""
        now = self.clock()
        if recording.status is Status.ARCHIVED:
            return recording.archive_overdue(now)
        if recording.next_attempt_at is not None and recording.next_attempt_at > now:
            return False
        if recording.cloudflare_recording_id not in listed:
            return True
        if recording.status is Status.RECORDING:
            # Now and then: whether its session is over, a listing does not tell.
            age, then = now - recording.started_at, (last or recording.started_at) - recording.started_at
            return age // self.deadlines.session > then // self.deadlines.session
        return recording.status is Status.PROCESSING and not recording.fresh(now)


def is_expiring(ours: Recording, theirs: ProviderRecording, now: datetime) -> bool:
    """Whether Cloudflare drops a file soon that is not ours yet."""
    ends = theirs.expires_at
    return ours.status is Status.PROCESSING and ends is not None and ends - now < EXPIRES_SOON


def _size(look: SyncItem) -> int:
    """How many bytes of a workflow's state it takes."""
    return len(json.dumps(look))


def _drawn(own: Mapping[str | None, SyncItem]) -> Mapping[str | None, SyncItem]:
    """All of them, or as many as fit."""
    drawn, size = dict[str | None, SyncItem](), 0
    for name, look in random.sample([*own.items()], len(own)):
        size += _size(look)
        if size > MOST_OWN:
            break
        drawn[name] = look
    return drawn


def _of(recording: Recording) -> SyncItem:
    return SyncItem(
        capture_id=recording.cloudflare_recording_id,
        meeting_id=recording.meeting_id,
        sure=True,
        tenant_id=recording.tenant_id,
        recording_id=recording.id,
        kept=False,
    )


@dataclass(slots=True)
class Looked:
    """What came of some looks: recordings imported or changed, files that expire soon, late deliveries that were
    removed, looks that are kept."""

    changed: int = 0
    removed: int = 0
    expiring: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LookClosely:
    """Ask Cloudflare for each by its id, and carry out what the comparison says."""

    rooms: Rooms
    recordings: Recordings
    recorder: RecordingProvider
    workflow: ProcessingExecutions
    resume_archive: ResumeArchive
    remove_late_delivery: RemoveLateDelivery
    kept: RetryQueue
    reconcile: ReconcileRecording
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)
    # Entered for each look: the log's lines name what they are about.
    during: Callable[[SyncItem], AbstractContextManager[object]] = lambda look: nullcontext()

    def __call__(self, looks: Sequence[SyncItem]) -> Looked:
        """Raises ProviderThrottled or Throttled; all is safe to repeat.

        What fails by itself, or cannot be done now, holds up nothing else: it is kept for the next run.
        """
        looked = Looked()
        for look in looks:
            try:
                with self.during(look):
                    done = self._look(look, looked)
            except ProviderThrottled:
                raise
            except (ProviderFailure, InfrastructureError):
                # InfrastructureError: R2 may refuse its key while the rest can be looked at. It has raised its alarm.
                done = False
            except NotFound:
                # The recording was purged, or the room removed, since the walk.
                done = True
            if not done:
                looked.kept += 1
                if not look["kept"]:
                    self.kept.keep({**look, "kept": True})
            elif look["kept"]:
                self.kept.drop(look)
        return looked

    def _look(self, look: SyncItem, looked: Looked) -> bool:
        """Give whether all was done that was to do."""
        if look["capture_id"] is None and look["recording_id"] is None:
            return self._walk(look["meeting_id"] or "", looked)
        ours = None
        if look["tenant_id"] is not None and look["recording_id"] is not None:
            ours = self.recordings.get_including_deleted(look["tenant_id"], look["recording_id"])
        elif look["capture_id"] is not None:
            # A webhook or another sync may have brought it in since the walk.
            ours = self.recordings.find_by_cloudflare_recording_id(look["capture_id"])
        if ours is not None and ours.archive_unfinished:
            return self._resumed(ours, looked)
        if ours is not None and ours.superseded_delivery is not None:
            looked.removed += self.remove_late_delivery(ours)
            return True
        if ours is None and not self._is_of_its_meeting(look):
            return True
        theirs = self._capture(look["capture_id"])
        if ours is not None and theirs is not None and is_expiring(ours, theirs, self.clock()):
            looked.expiring += 1
        owner = self._owner(look["meeting_id"], theirs) if ours is None else None
        return self._reconciled(owner, ours, theirs, looked)

    def _resumed(self, ours: Recording, looked: Looked) -> bool:
        try:
            looked.changed += self.resume_archive(ours)
        except ConcurrentUpdate:
            # Somebody is at this very recording; the next run sees what they made of it.
            return True
        return True

    def _walk(self, meeting_id: str, looked: Looked) -> bool:
        """Bring in all that was recorded in a meeting while it was its tenant's, and have it do what its room says."""
        if self.rooms.find_meeting_ownership(meeting_id) is None:
            return True
        SettleMeeting(rooms=self.rooms, recorder=self.recorder).repair(meeting_id)
        done = True
        for captures in batched(self.recorder.captures(meeting_id), AT_A_TIME, strict=False):
            known = self.recordings.find_by_cloudflare_recording_ids([capture.id for capture in captures])
            for capture in captures:
                if capture.id not in known:
                    done = self._reconciled(self._owner(meeting_id, capture), None, capture, looked) and done
        return done

    def _owner(self, meeting_id: str | None, capture: ProviderRecording | None) -> RecordingOwner | None:
        if meeting_id is None or capture is None:
            return None
        return FindOwner(rooms=self.rooms)(meeting_id, capture)

    def _reconciled(
        self, owner: RecordingOwner | None, ours: Recording | None, theirs: ProviderRecording | None, looked: Looked
    ) -> bool:
        try:
            changed = self.reconcile(
                owner, ours, theirs, run_alive=self._alive(ours), session_ended_at=self._session_ended_at(ours, theirs)
            )
        except (RoomAlreadyRecording, MeetingReleased):
            # A start of this room is under way, a second capture runs beside the first, or it runs where no room is.
            return False
        except ConcurrentUpdate:
            # Somebody is at this very recording; the next run compares with what they made of it.
            return True
        looked.changed += changed is not None
        return True

    def _session_ended_at(self, ours: Recording | None, theirs: ProviderRecording | None) -> datetime | None:
        """When the session ended that a recording of ours has run in for long."""
        if ours is None or theirs is None or theirs.session_id is None or not theirs.status.running:
            return None
        if ours.status is not Status.RECORDING or self.clock() - ours.started_at < self.deadlines.session:
            return None
        return self.recorder.session_ended_at(theirs.session_id)

    def _capture(self, capture_id: str | None) -> ProviderRecording | None:
        if capture_id is None:
            return None
        try:
            return self.recorder.get(capture_id)
        except ProviderNotFound:
            return None

    def _is_of_its_meeting(self, look: SyncItem) -> bool:
        """Whether what nobody knows yet was recorded in the meeting that the look names."""
        meeting_id = look["meeting_id"]
        if meeting_id is None or self.rooms.find_meeting_ownership(meeting_id) is None:
            return False
        # Only its file's name hinted at the meeting: the meeting itself must list it.
        return look["sure"] or look["capture_id"] in {one.id for one in self.recorder.captures(meeting_id)}

    def _alive(self, ours: Recording | None) -> bool:
        return ours is None or ours.status is not Status.PROCESSING or self.workflow.is_running(ours)
