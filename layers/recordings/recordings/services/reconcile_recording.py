"""Carry out what `reconcile` says of one recording and one capture."""

from dataclasses import dataclass, field

from recordings.domain.capture import Capture
from recordings.domain.errors import ConcurrentUpdate, ProviderNotFound
from recordings.domain.lifecycle import Status
from recordings.domain.reconcile import NEVER_BEGAN, Act, Deadlines, reconcile
from recordings.domain.recording import Failure, Recording
from recordings.domain.room import Room
from recordings.ports import Clock, Ids, Recorder, Recordings, Workflow
from recordings.services.import_capture import ImportCapture


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRecording:
    """Every act is safe to repeat and to be overtaken: who loses a race finds the work done."""

    recordings: Recordings
    recorder: Recorder
    workflow: Workflow
    clock: Clock
    new_id: Ids
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(
        self, room: Room | None, ours: Recording | None, theirs: Capture | None, *, run_alive: bool = True
    ) -> Recording | None:
        """Give the recording when it was imported or changed now, else None.

        Without a room nothing is imported. Raises RoomAlreadyRecording when a running capture is to be imported into a
        room that is not free, or a ProviderFailure.
        """
        verdict = reconcile(ours, theirs, now=self.clock(), run_alive=run_alive, deadlines=self.deadlines)
        match verdict.act:
            case Act.IMPORT if room is not None and theirs is not None:
                return self._import(room, theirs, verdict.failure)
            case Act.END if ours is not None:
                return self._end(ours, theirs)
            case Act.RUN if ours is not None:
                self.workflow.start(ours)
            case Act.RESTART if ours is not None:
                return self._restart(ours)
            case Act.STOP if ours is not None and ours.cloudflare_id is not None:
                self._stop(ours.cloudflare_id)
            case Act.FAIL if ours is not None and verdict.failure is not None:
                return self._fail(ours, verdict.failure)
        return None

    def _import(self, room: Room, capture: Capture, failure: Failure | None) -> Recording | None:
        # A listing does not tell why a capture began; asking for it alone does.
        told = capture if capture.auto_started is not None else self.recorder.get(capture.id)
        make = ImportCapture(recordings=self.recordings, new_id=self.new_id)
        try:
            recording = make(room, told, nonce=None, failure=failure)
        except ConcurrentUpdate:
            # It was deleted and purged here: what our user threw away does not come back.
            return None
        if recording.status is Status.PROCESSING:
            self.workflow.start(recording)
        return recording

    def _end(self, ours: Recording, theirs: Capture | None) -> Recording | None:
        # The run first, as in StopRecording: if we die between the two, the run stores the end itself.
        self.workflow.start(ours)
        stopped_at = theirs.stopped_at if theirs else None
        return self._saved(ours, ours.ended(at=stopped_at or self.clock(), cause="capture_ended"))

    def _restart(self, ours: Recording) -> Recording | None:
        after = ours.recovered(at=self.clock())
        saved = self._saved(ours, after)
        if saved is not None:
            self.workflow.replace(ours, after)
        return saved

    def _fail(self, ours: Recording, failure: Failure) -> Recording | None:
        if ours.delivery_key is not None:
            # The bytes may lie in our own bucket: the run looks there before it gives up.
            self.workflow.start(ours)
            if ours.status is Status.RECORDING:
                return self._saved(ours, ours.ended(at=self.clock(), cause="capture_ended"))
            return None
        if failure is NEVER_BEGAN and ours.cloudflare_id is not None:
            # What has not begun may yet begin, and would hold the room.
            self._stop(ours.cloudflare_id)
        return self._saved(ours, ours.failed(failure, at=self.clock(), cause=failure.code))

    def _stop(self, capture_id: str) -> None:
        try:
            self.recorder.stop(capture_id)
        except ProviderNotFound:
            # It is gone; the next look decides what that means.
            pass

    def _saved(self, before: Recording, after: Recording) -> Recording | None:
        try:
            self.recordings.save(before, after)
        except ConcurrentUpdate:
            # Somebody else stored news of this recording; the next look compares with that.
            return None
        return after
