"""Carry out what `domain/reconciliation.py` decides about one recording."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, NotOurs, ProviderNotFound, ProviderRefused
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.reconciliation import Action, Deadlines, Decision, reconcile
from recordings.domain.recording import Failure, Recording
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock, Ids
from recordings.services.sync.import_recording import ImportRecording
from recordings.services.sync.missing_since import store_missing_since

# The actions that do not change the stored recording. Each other one resets `missing_since`.
UNCHANGED: Final = frozenset({Action.NOTHING, Action.RUN, Action.STOP})


def _do_nothing(action: Action) -> None:
    """Default for `on_action`: do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRecording:
    """Every action is safe to repeat, and safe beside another call that does the same.

    `on_action` is called with each action that had an effect, after it.
    """

    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    store: ObjectStore
    clock: Clock
    new_id: Ids
    deadlines: Deadlines = field(default_factory=Deadlines)
    on_action: Callable[[Action], object] = _do_nothing

    def __call__(
        self,
        owner: RecordingOwner | None,
        recording: Recording | None,
        provider_recording: ProviderRecording | None,
        *,
        is_running: bool = True,
        session_ended_at: datetime | None = None,
    ) -> Recording | None:
        """Return the recording if this call imported or changed it, else None.

        Pass None for a recording that the table or Cloudflare does not have. Without an owner nothing is imported.
        `is_running` and `session_ended_at`: see `reconcile`.

        Raises:
            RoomAlreadyRecording: the recording to import runs, and its room is locked
            MeetingReleased: the recording to import runs, and its room no longer holds the meeting
            ProviderFailure: Cloudflare did not do what it was asked for
            Throttled: DynamoDB, Step Functions or R2 is busy or does not respond
        """

        def decide(*, delivered: bool) -> Decision:
            return reconcile(
                recording,
                provider_recording,
                now=self.clock(),
                delivered=delivered,
                is_running=is_running,
                session_ended_at=session_ended_at,
                deadlines=self.deadlines,
            )

        decision = decide(delivered=False)
        if recording is None:
            if decision.action is not Action.IMPORT or owner is None or provider_recording is None:
                return None
            return self._import(owner, provider_recording)
        if decision.missing_since is not None and self._is_delivered(recording):
            # Whatever Cloudflare says, the file is in our bucket.
            decision = decide(delivered=True)
        if decision.action in UNCHANGED:
            store_missing_since(self.recordings, recording, decision.missing_since)
        return self._carry_out(decision, recording, provider_recording)

    def _carry_out(
        self, decision: Decision, recording: Recording, provider_recording: ProviderRecording | None
    ) -> Recording | None:
        changed = None
        match decision.action:
            case Action.END:
                changed = self._end(recording, provider_recording)
            case Action.RUN:
                self.executions.start(recording)
            case Action.RESTART:
                changed = self._restart(recording)
            case Action.STOP if recording.cloudflare_recording_id is not None:
                self._stop(recording.cloudflare_recording_id)
            case Action.FAIL if decision.failure is not None:
                changed = self._fail(recording, provider_recording, decision.failure)
            case _:
                return None
        if changed is not None or decision.action in UNCHANGED:
            self.on_action(decision.action)
        return changed

    def _is_delivered(self, recording: Recording) -> bool:
        return recording.delivery_key is not None and self.store.head(recording.delivery_key) is not None

    def _import(self, owner: RecordingOwner, listed: ProviderRecording) -> Recording | None:
        try:
            # A listing does not say whether the recording started automatically. A request by id does.
            found = listed if listed.auto_started is not None else self.provider.get(listed.cloudflare_recording_id)
        except ProviderNotFound:
            # The listing and this response disagree. A later sync imports it if it is still listed.
            return None
        # A recording that the listing shows as a track recording is one, even if this response does not show it.
        found = replace(found, tracks=found.tracks or listed.tracks)
        decision = reconcile(None, found, now=self.clock(), deadlines=self.deadlines)
        if decision.action is not Action.IMPORT:
            return None
        import_recording = ImportRecording(recordings=self.recordings, new_id=self.new_id)
        try:
            recording = import_recording(owner, found, nonce=None, failure=decision.failure)
        except (ConcurrentUpdate, NotOurs):
            # The user has deleted it, and it was purged: it does not come back. Or it belongs to another tenant.
            return None
        if recording.status is Status.PROCESSING:
            self.executions.start(recording)
        self.on_action(Action.IMPORT)
        return recording

    def _end(self, recording: Recording, provider_recording: ProviderRecording | None) -> Recording | None:
        stopped_at = provider_recording.stopped_at if provider_recording else None
        ended = self._save(recording, recording.ended(at=stopped_at or self.clock(), cause="capture_ended"))
        if ended is not None:
            # If the function dies before this call, the next comparison decides RUN.
            self.executions.start(ended)
        return ended

    def _restart(self, recording: Recording) -> Recording | None:
        recovered = self._save(recording, recording.recovered(at=self.clock(), automatic=True))
        if recovered is not None:
            self.executions.replace(recording, recovered)
        return recovered

    def _fail(
        self, recording: Recording, provider_recording: ProviderRecording | None, failure: Failure
    ) -> Recording | None:
        running = provider_recording if provider_recording is not None and provider_recording.status.running else None
        if running is not None and self._stop(running.cloudflare_recording_id):
            # The stop had an effect after all. The next comparison sees what file there is.
            return None
        return self._save(recording, recording.failed(failure, at=self.clock(), cause=failure.code))

    def _stop(self, cloudflare_recording_id: str) -> bool:
        """Stop a recording at Cloudflare. Return whether it has stopped; the next comparison decides if it has not."""
        try:
            return not self.provider.stop(cloudflare_recording_id).status.running
        except ProviderNotFound:
            return True
        except ProviderRefused:
            return False

    def _save(self, before: Recording, after: Recording) -> Recording | None:
        try:
            return self.recordings.save(before, after)
        except ConcurrentUpdate:
            # Another call changed the recording. The next comparison uses its result.
            return None
