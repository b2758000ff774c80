"""Cloudflare RealtimeKit's REST API as the recording provider (developers.cloudflare.com/api/resources/realtime_kit).

Cloudflare has no idempotency key, so a start is sent once. A caller whose start failed must read the active recording
before it tries again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlencode

from recordings import settings
from recordings.adapters.cloudflare.models import Meeting, Paging, RecordingRow, Session
from recordings.adapters.cloudflare.transport import CloudflareApi, Credentials
from recordings.domain.errors import ProviderError, ProviderNotFound, ProviderRefused
from recordings.domain.provider_recording import ProviderRecording
from recordings.observability import count, logger
from recordings.ports.provider import RateLimiter

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 2_000
# So many pages in succession without a new row end a listing. One such page can be rows that shifted by a whole page.
MAX_REPEATED_PAGES: Final = 2


@dataclass(frozen=True, slots=True)
class DirectDelivery:
    """The R2 bucket into which Cloudflare itself puts files. `credentials` returns its current access key."""

    bucket: str
    credentials: Callable[[], Mapping[str, str]]

    def storage_config(self, *, account_id: str, folder: str) -> Mapping[str, str]:
        """Return the part of a start that names the bucket.

        Source: RealtimeKit, recording-guide/custom-cloud-storage.
        """
        keys = self.credentials()
        return {
            "type": "cloudflare",
            "account_id": account_id,
            "access_key": keys["access_key_id"],
            "secret": keys["secret_access_key"],
            "bucket": self.bucket,
            "path": folder,
        }


class RealtimeKitClient:
    """Implements ports.provider.RecordingProvider. Without `delivery`, Cloudflare keeps the files."""

    def __init__(
        self, rate_limiter: RateLimiter, *, token: Credentials, delivery: DirectDelivery | None = None
    ) -> None:
        self._api, self._delivery = CloudflareApi(rate_limiter, token=token), delivery
        self._account_id = settings.CLOUDFLARE().account_id

    def start(self, meeting_id: str, *, max_seconds: int | None, folder: str | None = None) -> ProviderRecording:
        # Both configurations: the codec guide suggests that Cloudflare makes a video file only with video_config.
        body: dict[str, Any] = {
            "meeting_id": meeting_id,
            "audio_config": {"codec": "AAC"},
            "video_config": {"codec": "H264"},
            "realtimekit_bucket_config": {"enabled": True},
        }
        if max_seconds is not None:
            body["max_seconds"] = max_seconds
        if folder is None or self._delivery is None:
            return _recording(self._api.call("POST", "/recordings", body=body))
        storage = self._delivery.storage_config(account_id=self._account_id, folder=folder)
        try:
            started = _recording(self._api.call("POST", "/recordings", body={**body, "storage_config": storage}))
        except ProviderRefused:
            # Cloudflare may reject the storage, or the start itself because a recording is running.
            if self.find_active(meeting_id) is not None:
                raise
            return _recording(self._api.call("POST", "/recordings", body=body))
        return replace(started, delivery_key=f"{folder}/{started.file_name}" if started.file_name else None)

    def stop(self, cloudflare_recording_id: str) -> ProviderRecording:
        path = f"/recordings/{_quoted(cloudflare_recording_id)}"
        try:
            data = self._api.call("PUT", path, body={"action": "stop"})
        except ProviderRefused:
            # The response to a second stop is not documented, so the recording's status decides.
            provider_recording = self.get(cloudflare_recording_id)
            if provider_recording.status.running:
                raise
            return provider_recording
        return _recording(data, cloudflare_recording_id)

    def get(self, cloudflare_recording_id: str) -> ProviderRecording:
        data = self._api.call("GET", f"/recordings/{_quoted(cloudflare_recording_id)}")
        return _recording(data, cloudflare_recording_id)

    def find_active(self, meeting_id: str) -> ProviderRecording | None:
        try:
            active = _recording(self._api.call("GET", f"/recordings/active-recording/{_quoted(meeting_id)}"))
        except ProviderNotFound:
            return None
        if not active.tracks:
            return active
        # It is not documented whether a track recording is the active one. A composite one may run beside it.
        newest = islice(self.list_by_meeting(meeting_id), PAGE_SIZE)
        return next((listed for listed in newest if listed.status.running and not listed.tracks), None)

    def list_by_meeting(self, meeting_id: str) -> Iterator[ProviderRecording]:
        return self._list_all({"meeting_id": meeting_id})

    def find_session_end(self, session_id: str) -> datetime | None:
        try:
            return Session.parse(self._api.call("GET", f"/sessions/{_quoted(session_id)}")).end
        except ProviderNotFound:
            # An unknown session is no reason to stop a recording.
            return None

    def list_page(self, number: int) -> tuple[Sequence[ProviderRecording], bool]:
        return self._read_page({}, number)

    def create_meeting(self, title: str, *, record_on_start: bool) -> str:
        body = {"title": title, "record_on_start": record_on_start}
        meeting = Meeting.model_validate(self._api.call("POST", "/meetings", body=body))
        if meeting.id is None:
            raise ProviderError("Cloudflare created a meeting without an id.")
        return meeting.id

    def get_record_on_start(self, meeting_id: str) -> bool | None:
        return Meeting.model_validate(self._api.call("GET", f"/meetings/{_quoted(meeting_id)}")).record_on_start

    def set_record_on_start(self, meeting_id: str, *, record_on_start: bool) -> None:
        self._api.call("PATCH", f"/meetings/{_quoted(meeting_id)}", body={"record_on_start": record_on_start})

    def _list_all(self, filters: Mapping[str, str]) -> Iterator[ProviderRecording]:
        """Yield every row once, newest first. Rows that shift between two pages are listed twice.

        Pages without a new row end the listing, whatever its paging says. A listing that repeats its rows for ever
        would otherwise use up the rate limit.
        """
        seen: set[str] = set()
        repeated_pages = 0
        for number in range(1, MAX_PAGES + 1):
            listed, has_more = self._read_page(filters, number)
            new = [row for row in listed if row.cloudflare_recording_id not in seen]
            # A page without readable rows does not count: readable ones may follow.
            repeated_pages = repeated_pages + 1 if listed and not new else 0
            for row in new:
                # Cloudflare can list a row twice on one page.
                if row.cloudflare_recording_id not in seen:
                    seen.add(row.cloudflare_recording_id)
                    yield row
            if not has_more or repeated_pages == MAX_REPEATED_PAGES:
                return
        raise ProviderError(f"Cloudflare lists more than {MAX_PAGES} pages.")

    def _read_page(self, filters: Mapping[str, str], number: int) -> tuple[Sequence[ProviderRecording], bool]:
        """Return the readable rows of one page, and whether there are more pages. Pages count from 1.

        Cloudflare does not document whether it counts from 0 or 1, how many rows a page may have, and the defaults.
        This reads page 1. Its paging shows whether there is a page before it.
        """
        rows, paging = self._request_page(filters, number)
        begins, ends, total = paging.start_offset, paging.end_offset, paging.total_count
        has_more = bool(rows) and (ends < total if ends is not None and total is not None else len(rows) >= PAGE_SIZE)
        # If pages count from 0 and all rows fit on page 0, page 1 is empty.
        if number == 1 and (begins is None or begins > 1 if rows else total != 0):
            rows = [*self._request_page_zero(filters), *rows]
        parsed = [RecordingRow.parse(row) for row in rows]
        readable = [row for row in parsed if row is not None]
        if len(readable) < len(rows):
            # The next sync lists them again. Their content does not belong in the log.
            count("RowsUnreadable", len(rows) - len(readable))
            logger.warning("unreadable rows", page=number, rows=len(rows), unreadable=len(rows) - len(readable))
        return [row.to_domain(now=_now()) for row in readable], has_more

    def _request_page_zero(self, filters: Mapping[str, str]) -> Sequence[Any]:
        try:
            return self._request_page(filters, 0)[0]
        except ProviderRefused:
            # Pages count from 1.
            return []

    def _request_page(self, filters: Mapping[str, str], number: int) -> tuple[Sequence[Any], Paging]:
        query = {**filters, "sort_by": "invokedTime", "sort_order": "DESC", "page_no": number, "per_page": PAGE_SIZE}
        document = self._api.request("GET", f"/recordings?{urlencode(query)}")
        rows, paging = document["data"], document.get("paging")
        if not isinstance(rows, list):
            raise ProviderError("Cloudflare's response has no list.")
        return rows, Paging.model_validate(paging if isinstance(paging, dict) else {})


def _recording(data: Mapping[str, Any], known_id: str | None = None) -> ProviderRecording:
    row = RecordingRow.parse(data, known_id=known_id)
    if row is None:
        raise ProviderError("Cloudflare's response has a recording without an id.")
    return row.to_domain(now=_now())


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
