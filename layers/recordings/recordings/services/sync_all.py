"""Bring all recordings in line with Cloudflare, from the newest capture back to where the last sync began.

Nobody waits for it: what a webhook lost, what began by itself, what got stuck and what died comes right here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Final, Protocol, TypedDict

from recordings.domain.capture import Capture
from recordings.domain.errors import ConcurrentUpdate, ProviderNotFound, RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.domain.reconcile import Act, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.ports import ArchiveRuns, Clock, Recorder, Recordings, Rooms, Workflow
from recordings.services.reconcile_recording import ReconcileRecording

BATCH: Final = 20
# Pages of one scan: what it hands on must fit the 256 KiB of a workflow's state (Step Functions, "Quotas").
PAGES: Final = 8
# A listing may lag, and clocks differ: rows this much older than the watermark are looked at again.
OVERLAP: Final = timedelta(hours=1)
FULL_EVERY: Final = timedelta(days=1)
# A file that Cloudflare drops this soon and that is not ours yet is for a person to know of.
EXPIRES_SOON: Final = timedelta(hours=48)
# A run that has just been started is not asked after.
YOUNG: Final = timedelta(minutes=10)
# Longer than a run may take; only a run that has died holds it to the end.
LEASE: Final = timedelta(minutes=30)


class Look(TypedDict):
    """One thing to be looked at: a capture (with its meeting when it is not ours yet), or a recording of ours."""

    capture_id: str | None
    meeting_id: str | None
    sure: bool
    tenant_id: str | None
    recording_id: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a run takes up: the watermark of the last one, and whether this one walks the whole list."""

    watermark: datetime | None
    full: bool


class SyncState(Protocol):
    """What is kept from one run to the next, and who runs now."""

    def begin(self, *, nonce: str, now: datetime, until: datetime) -> Begun | None:
        """Take the run, or give None while another has it."""

    def end(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        """Give the run back; what is not None is kept for the next one. Nothing when it was lost meanwhile."""


@dataclass(slots=True)
class Scan:
    """What some pages held: what to look at, the newest capture, what belongs to no room, and where to go on."""

    batches: list[list[Look]] = field(default_factory=list)
    newest: datetime | None = None
    seen: int = 0
    unregistered: int = 0
    expiring: int = 0
    next_page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCaptures:
    """Compare every row with what we have; only what differs is handed on."""

    rooms: Rooms
    recordings: Recordings
    recorder: Recorder
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, begun: Begun, page: int) -> Scan:
        """Walk a few pages from this one on, and with the first ones also our own list of what is open.

        Raises a ProviderFailure; then the watermark stays and the next run sees the same again.
        """
        scan, looks, listed = Scan(), dict[str | None, Look](), dict[str, Capture]()
        oldest = None if begun.full or begun.watermark is None else begun.watermark - OVERLAP
        number, more = page, True
        while more and number < page + PAGES:
            captures, more = self.recorder.recent(number)
            known = self.recordings.of_captures([capture.id for capture in captures])
            for capture in captures:
                if oldest is not None and capture.invoked_at < oldest:
                    more = False
                    break
                listed[capture.id] = capture
                scan.newest = max(scan.newest or capture.invoked_at, capture.invoked_at)
                look = self._compared(capture, known, scan)
                if look is not None:
                    looks[capture.id] = look
            number += 1
        scan.seen = len(listed)
        if page == 1:
            for recording in self.recordings.open_ones():
                if recording.cloudflare_id not in looks and self._calls_for_a_look(recording, listed):
                    looks[recording.cloudflare_id or recording.id] = _of(recording)
        scan.next_page = number if more else None
        scan.batches = [list(some) for some in batched(looks.values(), BATCH, strict=False)]
        return scan

    def _compared(self, capture: Capture, known: Mapping[str, Recording | None], scan: Scan) -> Look | None:
        if capture.id not in known:
            meeting_id = capture.meeting_id or capture.likely_meeting_id
            if meeting_id is None or self.rooms.of_meeting(meeting_id) is None:
                scan.unregistered += 1
                return None
            return Look(
                capture_id=capture.id,
                meeting_id=meeting_id,
                sure=capture.meeting_id is not None,
                tenant_id=None,
                recording_id=None,
            )
        ours = known[capture.id]
        if ours is None:
            return None
        now = self.clock()
        ends = capture.url_expires_at
        if ours.status is Status.PROCESSING and ends is not None and ends - now < EXPIRES_SOON:
            scan.expiring += 1
        if reconcile(ours, capture, now=now, deadlines=self.deadlines).act in {Act.NOTHING, Act.RUN}:
            return None
        return _of(ours)

    def _calls_for_a_look(self, recording: Recording, listed: Mapping[str, Capture]) -> bool:
        """Whether an open recording needs one that the listing did not call for."""
        now = self.clock()
        if recording.moving:
            return now - (recording.archived_at or now) > YOUNG
        if recording.cloudflare_id not in listed:
            return True
        since = max(recording.stopped_at or recording.started_at, recording.recovered_at or recording.started_at)
        return recording.status is Status.PROCESSING and now - since > YOUNG


def _of(recording: Recording) -> Look:
    return Look(
        capture_id=recording.cloudflare_id,
        meeting_id=recording.meeting_id,
        sure=True,
        tenant_id=recording.tenant_id,
        recording_id=recording.id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookClosely:
    """Ask Cloudflare for each by its id, and carry out what the comparison says."""

    rooms: Rooms
    recordings: Recordings
    recorder: Recorder
    workflow: Workflow
    archiving: ArchiveRuns
    reconcile: ReconcileRecording
    clock: Clock

    def __call__(self, looks: Sequence[Look]) -> int:
        """Give how many recordings were imported or changed. Raises a ProviderFailure; all is safe to repeat."""
        return sum(self._look(look) for look in looks)

    def _look(self, look: Look) -> bool:
        ours = None
        if look["tenant_id"] is not None and look["recording_id"] is not None:
            ours = self.recordings.find(look["tenant_id"], look["recording_id"])
        elif look["capture_id"] is not None:
            # A webhook or another sync may have brought it in since the walk.
            ours = self.recordings.of_cloudflare(look["capture_id"])
        if ours is not None and ours.moving:
            return self.archiving.revive(ours)
        room = None if ours is not None else self._room_of(look)
        if ours is None and room is None:
            return False
        theirs = self._capture(look["capture_id"])
        try:
            return self.reconcile(room, ours, theirs, run_alive=self._alive(ours)) is not None
        except (RoomAlreadyRecording, ConcurrentUpdate):
            # Somebody is at this very recording or room; the next run compares with what they made of it.
            return False

    def _capture(self, capture_id: str | None) -> Capture | None:
        if capture_id is None:
            return None
        try:
            return self.recorder.get(capture_id)
        except ProviderNotFound:
            return None

    def _room_of(self, look: Look) -> Room | None:
        if look["meeting_id"] is None:
            return None
        if not look["sure"] and look["capture_id"] not in {
            one.id for one in self.recorder.captures(look["meeting_id"])
        }:
            return None
        return self.rooms.of_meeting(look["meeting_id"])

    def _alive(self, ours: Recording | None) -> bool:
        return ours is None or ours.status is not Status.PROCESSING or self.workflow.alive(ours)
