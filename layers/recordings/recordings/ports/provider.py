"""What the services need from Cloudflare RealtimeKit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from recordings.domain.provider_recording import ProviderRecording


class RecordingProvider(Protocol):
    """Cloudflare RealtimeKit: its recordings, and what else it stores about a meeting.

    Every method raises:
        ProviderThrottled: the rate limit is reached; `retry_after` is in seconds
        ProviderTimeout: no response in time; a change may or may not have happened
        ProviderError: another failure, or a response that cannot be read
    """

    def start(self, meeting_id: str, *, max_seconds: int | None, folder: str | None = None) -> ProviderRecording:
        """Start recording a meeting. The request is sent once, because Cloudflare has no idempotency key.

        Cloudflare delivers the file into `folder` of our bucket if it can; then `delivery_key` is set.

        Raises:
            ProviderRefused: Cloudflare rejects the start (4xx), for example because a recording is running
        """

    def stop(self, cloudflare_recording_id: str) -> ProviderRecording:
        """Stop a recording. One that has ended is returned as it is.

        Raises:
            ProviderNotFound: Cloudflare does not know the recording
        """

    def get(self, cloudflare_recording_id: str) -> ProviderRecording:
        """Return a recording.

        Raises:
            ProviderNotFound: Cloudflare does not know the recording
        """

    def find_active(self, meeting_id: str) -> ProviderRecording | None:
        """Return the running recording of a meeting. Track recordings do not count."""

    def list_by_meeting(self, meeting_id: str) -> Iterator[ProviderRecording]:
        """Iterate over the recordings of a meeting, newest first, each once. A page is read when it is needed."""

    def find_session_end(self, session_id: str) -> datetime | None:
        """Return when a session ended, or None unless Cloudflare reports its end."""

    def list_page(self, number: int) -> tuple[Sequence[ProviderRecording], bool]:
        """Return one page of the app's recordings, newest first, and whether there are more. Pages count from 1.

        A recording that starts between two calls pushes another one to the next page. So a recording can be on two
        pages, but none is missed.
        """

    def create_meeting(self, title: str, *, record_on_start: bool) -> str:
        """Create a meeting and return its id."""

    def get_record_on_start(self, meeting_id: str) -> bool | None:
        """Return whether Cloudflare records a meeting by itself, or None if the response does not say that.

        Raises:
            ProviderNotFound: Cloudflare does not know the meeting
        """

    def set_record_on_start(self, meeting_id: str, *, record_on_start: bool) -> None:
        """Set whether Cloudflare records a meeting by itself.

        Raises:
            ProviderNotFound: Cloudflare does not know the meeting
        """


class RateLimiter(Protocol):
    """The number of calls to Cloudflare that a deployment may make."""

    def acquire(self) -> None:
        """Count one call, which is then made.

        Raises:
            TenantThrottled: this tenant has used its share
            ProviderThrottled: no call is left for this kind of caller, or Cloudflare blocks all calls
            Throttled: too many calls at the same moment
        """

    def block(self, seconds: int) -> None:
        """Refuse every call for this time, because Cloudflare said so. Never shorten a longer block."""
