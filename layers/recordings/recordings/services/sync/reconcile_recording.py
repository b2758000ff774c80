"""Carry out what `reconcile` says of one recording and one capture."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from recordings.domain.errors import ConcurrentUpdate, NotOurs, ProviderNotFound, ProviderRefused
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.reconciliation import Act, Deadlines, Verdict, reconcile
from recordings.domain.recording import Failure, Recording
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock, Ids
from recordings.services.sync.import_recording import ImportRecording
from recordings.services.sync.note_news import note_news

# What leaves the recording as it is; any other act makes it another one, and what was noted of it is over.
NOTED: Final = frozenset({Act.NOTHING, Act.RUN, Act.STOP})


class Delivered(Protocol):
    """Our own bucket, that Cloudflare delivers into."""

    def head(self, key: str) -> tuple[int, str] | None: ...


def _unheard(act: Act) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRecording:
    """Every act is safe to repeat and to be overtaken: who loses a race finds the work done."""

    recordings: Recordings
    recorder: RecordingProvider
    workflow: ProcessingExecutions
    files: Delivered
    clock: Clock
    new_id: Ids
    deadlines: Deadlines = field(default_factory=Deadlines)
    # Hears of every act, before it is carried out.
    acting: Callable[[Act], None] = _unheard

    def __call__(
        self,
        owner: RecordingOwner | None,
        ours: Recording | None,
        theirs: ProviderRecording | None,
        *,
        run_alive: bool = True,
        session_ended_at: datetime | None = None,
    ) -> Recording | None:
        """Give the recording when it was imported or changed now, else None.

        Without an owner nothing is imported. Raises RoomAlreadyRecording when a running capture is to be imported into
        a room that is not free, MeetingReleased when into one that has let the meeting go, or a ProviderFailure.
        """

        def verdict(*, delivered: bool) -> Verdict:
            return reconcile(
                ours,
                theirs,
                now=self.clock(),
                delivered=delivered,
                run_alive=run_alive,
                session_ended_at=session_ended_at,
                deadlines=self.deadlines,
            )

        found = verdict(delivered=False)
        if found.missing_since is not None and ours is not None and self._is_delivered(ours):
            # Whatever Cloudflare says of it, the bytes lie in our own bucket.
            found = verdict(delivered=True)
        if ours is not None and found.act in NOTED:
            note_news(self.recordings, ours, found)
        if found.act is not Act.NOTHING:
            self.acting(found.act)
        match found.act:
            case Act.IMPORT if owner is not None and theirs is not None:
                return self._import(owner, theirs)
            case Act.END if ours is not None:
                return self._end(ours, theirs)
            case Act.RUN if ours is not None:
                self.workflow.start(ours)
            case Act.RESTART if ours is not None:
                return self._restart(ours)
            case Act.STOP if ours is not None and ours.cloudflare_recording_id is not None:
                self._stops(ours.cloudflare_recording_id)
            case Act.FAIL if ours is not None and found.failure is not None:
                return self._fail(ours, theirs, found.failure)
        return None

    def _is_delivered(self, ours: Recording) -> bool:
        return ours.delivery_key is not None and self.files.head(ours.delivery_key) is not None

    def _import(self, owner: RecordingOwner, capture: ProviderRecording) -> Recording | None:
        # A listing does not tell why a capture began; asking for it alone does.
        try:
            told = capture if capture.auto_started is not None else self.recorder.get(capture.id)
        except ProviderNotFound:
            # The listing and this answer disagree; while it is listed, a later look imports it.
            return None
        # What the listing shows to be a track recording is one, also where this response does not show it.
        told = replace(told, tracks=told.tracks or capture.tracks)
        verdict = reconcile(None, told, now=self.clock(), deadlines=self.deadlines)
        if verdict.act is not Act.IMPORT:
            return None
        failure = verdict.failure
        make = ImportRecording(recordings=self.recordings, new_id=self.new_id)
        try:
            recording = make(owner, told, nonce=None, failure=failure)
        except (ConcurrentUpdate, NotOurs):
            # It was deleted and purged here: what our user threw away does not come back. Or it is another tenant's.
            return None
        if recording.status is Status.PROCESSING:
            self.workflow.start(recording)
        return recording

    def _end(self, ours: Recording, theirs: ProviderRecording | None) -> Recording | None:
        stopped_at = theirs.stopped_at if theirs else None
        saved = self._saved(ours, ours.ended(at=stopped_at or self.clock(), cause="capture_ended"))
        if saved is not None:
            # If we die before, the next comparison says RUN.
            self.workflow.start(saved)
        return saved

    def _restart(self, ours: Recording) -> Recording | None:
        after = ours.recovered(at=self.clock(), automatic=True)
        saved = self._saved(ours, after)
        if saved is not None:
            self.workflow.replace(ours, after)
        return saved

    def _fail(self, ours: Recording, theirs: ProviderRecording | None, failure: Failure) -> Recording | None:
        if theirs is not None and theirs.status.running and self._stops(theirs.id):
            # It heeded after all: what it leaves behind, the next look sees.
            return None
        return self._saved(ours, ours.failed(failure, at=self.clock(), cause=failure.code))

    def _stops(self, capture_id: str) -> bool:
        """Ask to stop; give whether it does. One that does not is for the next look to decide about."""
        try:
            return not self.recorder.stop(capture_id).status.running
        except ProviderNotFound:
            return True
        except ProviderRefused:
            return False

    def _saved(self, before: Recording, after: Recording) -> Recording | None:
        try:
            self.recordings.save(before, after)
        except ConcurrentUpdate:
            # Somebody else stored news of this recording; the next look compares with that.
            return None
        return after
