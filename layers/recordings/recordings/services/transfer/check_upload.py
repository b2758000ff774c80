"""Wait until Cloudflare has finished a recording's file."""

from dataclasses import dataclass, field
from datetime import timedelta

from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import Deadlines, FileAssessment, FileState, assess_file
from recordings.domain.recording import Progress, Recording
from recordings.domain.transfer import Attempt, UploadState
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock
from recordings.services.sync.missing_since import store_missing_since
from recordings.services.transfer.attempts import is_waiting
from recordings.services.transfer.provider_file import final_error, get_provider_recording


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUpload:
    """Ask Cloudflare whether the file is complete. `stall_after`: how long to wait for it after the recording ended."""

    recordings: Recordings
    provider: RecordingProvider
    store: ObjectStore
    clock: Clock
    stall_after: timedelta
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, attempt: Attempt, *, token: str, wait: timedelta) -> UploadState | None:
        """Return the state, or None to wait: the task token is stored, and a webhook or a time-out asks again.

        Raises:
            CaptureFailed, SourceExpired, TracksOnly: it is certain that there will be no file
        """
        recording = self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
        if not is_waiting(recording, attempt):
            return UploadState(state="over")
        state = self._ask(recording)
        if state is not None:
            return state
        now = self.clock()
        waiting_since = max(recording.stopped_at or now, recording.recovered_at or recording.started_at)
        deadline = waiting_since + self.stall_after
        if now >= deadline:
            # Cloudflare does not say that it has finished. A file in our bucket is complete all the same: an object
            # appears there only when its upload is complete.
            return UploadState(state="uploaded" if self._is_delivered(recording) else "stalled")
        self.recordings.store_task_token(recording, token)
        self.recordings.note_progress(
            recording,
            Progress(
                step="waiting_for_upload",
                attempt=recording.attempt,
                next_step_due=now + wait,
                stuck_after=deadline,
            ),
        )
        # A webhook that arrived between the question and the storing of the token completed no task. The first question
        # may have changed the recording.
        state = self._ask(self.recordings.get_including_deleted(recording.tenant_id, recording.id))
        if state is not None:
            # Remove this token only: a newer attempt may have stored another one.
            self.recordings.pop_task_token(recording, only=token)
        return state

    def _ask(self, recording: Recording) -> UploadState | None:
        provider_recording = get_provider_recording(self.provider, recording)
        if (
            provider_recording is not None
            and not provider_recording.status.running
            and recording.status is Status.RECORDING
        ):
            recording = self._end(recording, provider_recording)
        assessment = self._weigh(recording, provider_recording, delivered=False)
        if assessment.failure is not None and self._is_delivered(recording):
            # The file is in our own bucket, whatever Cloudflare says about it.
            assessment = self._weigh(recording, provider_recording, delivered=True)
        store_missing_since(self.recordings, recording, assessment.missing_since)
        if assessment.settled:
            raise final_error(assessment)
        if assessment.state is not FileState.THERE:
            return None
        # A file of an errored recording is fetched as well.
        errored = provider_recording is not None and provider_recording.status is ProviderStatus.ERRORED
        return UploadState(state="uploaded", partial=errored)

    def _weigh(
        self, recording: Recording, provider_recording: ProviderRecording | None, *, delivered: bool
    ) -> FileAssessment:
        return assess_file(
            recording, provider_recording, now=self.clock(), delivered=delivered, deadlines=self.deadlines
        )

    def _end(self, recording: Recording, provider_recording: ProviderRecording) -> Recording:
        ended = recording.ended(at=provider_recording.stopped_at or self.clock(), cause="capture_ended")
        try:
            return self.recordings.save(recording, ended)
        except ConcurrentUpdate:
            # A stop request or a webhook stored it first.
            return self.recordings.get_including_deleted(recording.tenant_id, recording.id)

    def _is_delivered(self, recording: Recording) -> bool:
        return recording.delivery_key is not None and self.store.head(recording.delivery_key) is not None
