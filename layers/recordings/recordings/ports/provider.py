"""Cloudflare RealtimeKit, which records."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from recordings.domain.provider_recording import ProviderRecording


class RecordingProvider(Protocol):
    """Cloudflare RealtimeKit. Every method may raise ProviderError, ProviderTimeout or ProviderThrottled."""

    def start(self, meeting_id: str, *, max_seconds: int | None, folder: str | None = None) -> ProviderRecording:
        """Begin capturing; sent once, never repeated by itself. Raises ProviderRefused on a 4xx.

        The file is to be delivered into `folder` of our own bucket, where that can be had (Capture.delivery_key).
        """

    def stop(self, cloudflare_recording_id: str) -> ProviderRecording:
        """Ask to stop; an already ended one is given as it is. Raises ProviderNotFound."""

    def get(self, cloudflare_recording_id: str) -> ProviderRecording:
        """Read one. Raises ProviderNotFound."""

    def find_active(self, meeting_id: str) -> ProviderRecording | None:
        """The capture now running in a meeting. A track recording does not count."""

    def list_by_meeting(self, meeting_id: str) -> Iterator[ProviderRecording]:
        """Every capture of a meeting, newest first, each once; asks for a page at a time."""

    def find_session_end(self, session_id: str) -> datetime | None:
        """When a session ended; None unless Cloudflare says that it has."""

    def list_page(self, number: int) -> tuple[Sequence[ProviderRecording], bool]:
        """One page, counted from 1, of the app's captures, newest first, and whether there are more.

        Captures that begin meanwhile push others to the next page: one may come twice, none is missed.
        """

    def create_meeting(self, title: str, *, record_on_start: bool) -> str:
        """Make a meeting; gives its id."""

    def get_record_on_start(self, meeting_id: str) -> bool | None:
        """Whether a meeting records by itself; None when Cloudflare does not say. Raises ProviderNotFound."""

    def set_record_on_start(self, meeting_id: str, *, record_on_start: bool) -> None:
        """Set whether a meeting records by itself. Raises ProviderNotFound."""


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
