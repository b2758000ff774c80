"""The file of a recording at Cloudflare: whether it is there, and its URL."""

from dataclasses import dataclass, field

from recordings.domain.errors import (
    ProviderNotFound,
    ProviderRecordingFailed,
    SourceExpired,
    SourceUnavailable,
    TracksOnly,
)
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import EXPIRED, TRACKS, Deadlines, FileAssessment, FileState, assess_file
from recordings.domain.recording import Recording
from recordings.domain.transfer import Announcement, Attempt
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.system import Clock
from recordings.services.sync.missing_since import store_missing_since
from recordings.services.transfer.attempts import get_waiting


def get_provider_recording(provider: RecordingProvider, recording: Recording) -> ProviderRecording | None:
    """Read the recording from Cloudflare's API. Return None if Cloudflare does not know it."""
    if recording.cloudflare_recording_id is None:
        return None
    try:
        return provider.get(recording.cloudflare_recording_id)
    except ProviderNotFound:
        return None


def announcement_of(provider_recording: ProviderRecording | None) -> Announcement:
    """Return what Cloudflare says about the file. None: Cloudflare does not know the recording."""
    if provider_recording is None:
        return Announcement()
    return Announcement(
        size=provider_recording.size_bytes,
        seconds=provider_recording.duration_seconds,
        errored=provider_recording.status is ProviderStatus.ERRORED,
        expires_at=provider_recording.expires_at,
    )


def final_error(assessment: FileAssessment) -> ProviderRecordingFailed | SourceExpired:
    """Return the error that ends an execution because there will be no file."""
    if assessment.failure == TRACKS:
        return TracksOnly(TRACKS.message)
    if assessment.failure == EXPIRED:
        return SourceExpired("Cloudflare deleted the file: it keeps a file for seven days")
    return ProviderRecordingFailed("Cloudflare could not record or upload the file, or does not know it any more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFileUrl:
    """Finds the URL under which Cloudflare offers a recording's file now."""

    recordings: Recordings
    provider: RecordingProvider
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def of_attempt(self, attempt: Attempt) -> str:
        """Return the URL for an attempt.

        Raises:
            AttemptReplaced: another attempt has replaced this one
            and what `of` raises
        """
        recording = get_waiting(self.recordings, attempt)
        return self.of(recording, get_provider_recording(self.provider, recording))

    def of(self, recording: Recording, provider_recording: ProviderRecording | None) -> str:
        """Return the URL, and store what Cloudflare's answer means for the recording.

        Raises:
            SourceUnavailable: there is no URL now
            CaptureFailed, SourceExpired, TracksOnly: it is certain that there will be no file
        """
        assessment = assess_file(recording, provider_recording, now=self.clock(), deadlines=self.deadlines)
        store_missing_since(self.recordings, recording, assessment.missing_since)
        if assessment.settled:
            raise final_error(assessment)
        if (
            assessment.state is not FileState.THERE
            or provider_recording is None
            or provider_recording.download_url is None
        ):
            raise SourceUnavailable("Cloudflare gives no URL for the file")
        return provider_recording.download_url
