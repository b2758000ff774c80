"""Cloudflare RealtimeKit's REST API (developers.cloudflare.com/api/resources/realtime_kit).

Only reading is repeated after a fault, and each repeat is a call of the budget. A start is sent once, because
Cloudflare keeps no idempotency key: who calls `start` looks at `active` before trying again.
"""

import io
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import requests
from urllib3.exceptions import HTTPError

from recordings import settings
from recordings.adapters.cloudflare.models import parsed, read_capture, recording_id, time_of, whole
from recordings.domain.errors import (
    InfrastructureError,
    ProviderError,
    ProviderNotFound,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
)
from recordings.domain.ids import is_cloudflare_id
from recordings.domain.provider_recording import ProviderRecording
from recordings.observability import count, logger
from recordings.ports.provider import RateLimiter
from recordings.request_context import remaining_seconds

# Both are shorter when the request's deadline comes sooner.
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
# Of a request's time so much is kept back from Cloudflare: what it did must still be stored.
STORING_SECONDS: Final = 3.0
# What changes something is not sent with less time than this: its answer would be lost, and with it what was done.
CHANGING_SECONDS: Final = 3.0
READING_SECONDS: Final = 0.5
BLOCK_BYTES: Final = 64 * 1024
# How often what only reads is tried, and the longest pause before the second try.
READ_TRIES: Final = 3
PAUSE_SECONDS: Final = 0.2
# Answers of the edge that pass. Not 429: Cloudflare's own pause can outlast the caller.
PASSING: Final = frozenset({500, 502, 503, 504})
# What a token that was rolled or revoked is answered with (fundamentals/api/troubleshooting).
TOKEN_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# A breach of Cloudflare's limit blocks every call for five minutes (fundamentals/api/reference/limits).
BLOCK_SECONDS: Final = 300
# No pause that Cloudflare speaks of is longer than this; a header that says otherwise must not end all calls for good.
LONGEST_BLOCK_SECONDS: Final = 3600
# "Ratelimit": "default";r=0;t=30 - none remain for 30 seconds (fundamentals/api/reference/limits).
SPENT: Final = re.compile(r"\br=0;\s*t=(\d{1,6})")
# "Could not route to …" and "No route for that URI": the gateway's own words for an address that it does not know.
NO_ROUTE: Final = frozenset({7000, 7003})
# So many of Cloudflare's error codes are logged.
MOST_CODES: Final = 5
PAGE: Final = 100
MOST_PAGES: Final = 2_000
# After so many pages in a row without a new row there is none. One may be rows that shifted by a whole page.
BARREN_PAGES: Final = 2
# More than anybody has; a number of a listing's own account that is larger says nothing.
MOST_ROWS: Final = 10**12


class Credentials(Protocol):
    """The secret with the API token, `api_token`; adapters.aws.secrets.Secret has the contract."""

    def read(self) -> Mapping[str, str]: ...
    def read_replacement(self, rejected: Mapping[str, str]) -> Mapping[str, str] | None: ...


@dataclass(frozen=True, slots=True)
class DirectDelivery:
    """The R2 bucket into which Cloudflare itself puts files. `credentials` returns its current access key."""

    bucket: str
    credentials: Callable[[], Mapping[str, str]]


class RealtimeKitClient:
    """Implements ports.Recorder."""

    def __init__(self, budget: RateLimiter, *, token: Credentials, delivery: DirectDelivery | None = None) -> None:
        self._budget, self._token, self._delivery = budget, token, delivery
        api_url, self._account_id, app_id, _ = settings.CLOUDFLARE()
        self._base = f"{api_url}/accounts/{self._account_id}/realtime/kit/{app_id}"
        self._sent_with: Mapping[str, str] = {}
        # The session repeats nothing by itself: what is sent is counted.
        self._session = requests.Session()

    def start(self, meeting_id: str, *, max_seconds: int | None, folder: str | None = None) -> ProviderRecording:
        # Both configs are named: the codec guide hints that a video file is made only when video_config is passed.
        body: dict[str, Any] = {
            "meeting_id": meeting_id,
            "audio_config": {"codec": "AAC"},
            "video_config": {"codec": "H264"},
            "realtimekit_bucket_config": {"enabled": True},
        }
        if max_seconds is not None:
            body["max_seconds"] = max_seconds
        storage = self._storage(folder)
        if storage is None:
            return _capture(self._call("POST", "/recordings", body=body))
        try:
            begun = _capture(self._call("POST", "/recordings", body={**body, "storage_config": storage}))
        except ProviderRefused:
            # Whether Cloudflare takes this storage is not sure; it may as well have refused the start itself.
            if self.active(meeting_id) is not None:
                raise
            return _capture(self._call("POST", "/recordings", body=body))
        return replace(begun, delivery_key=f"{folder}/{begun.file_name}" if begun.file_name else None)

    def _storage(self, folder: str | None) -> Mapping[str, str] | None:
        """Where Cloudflare is to put the file: our R2 bucket (recording-guide/custom-cloud-storage), if switched on."""
        if folder is None or self._delivery is None:
            return None
        keys = self._delivery.credentials()
        return {
            "type": "cloudflare",
            "account_id": self._account_id,
            "access_key": keys["access_key_id"],
            "secret": keys["secret_access_key"],
            "bucket": self._delivery.bucket,
            "path": folder,
        }

    def stop(self, capture_id: str) -> ProviderRecording:
        try:
            told = self._call("PUT", f"/recordings/{quote(capture_id, safe='')}", body={"action": "stop"})
        except ProviderRefused:
            # What Cloudflare answers to a second stop is not documented: look at what it is now.
            capture = self.get(capture_id)
            if capture.status.running:
                raise
            return capture
        return _capture(told, capture_id)

    def get(self, capture_id: str) -> ProviderRecording:
        return _capture(self._call("GET", f"/recordings/{quote(capture_id, safe='')}"), capture_id)

    def active(self, meeting_id: str) -> ProviderRecording | None:
        try:
            active = _capture(self._call("GET", f"/recordings/active-recording/{quote(meeting_id, safe='')}"))
        except ProviderNotFound:
            return None
        if not active.tracks:
            return active
        # Whether a track recording counts as the active one is not documented. A composite one may run beside it.
        newest = islice(self.captures(meeting_id), PAGE)
        return next((one for one in newest if one.status.running and not one.tracks), None)

    def captures(self, meeting_id: str) -> Iterator[ProviderRecording]:
        return self._walk({"meeting_id": meeting_id})

    def session_ended_at(self, session_id: str) -> datetime | None:
        try:
            told = self._call("GET", f"/sessions/{quote(session_id, safe='')}")
        except ProviderNotFound:
            # Not knowing is no reason to stop anybody's recording.
            return None
        session = told.get("session", told)
        if not isinstance(session, dict) or session.get("status") != "ENDED":
            return None
        return time_of(session.get("ended_at")) or time_of(session.get("updated_at"))

    def recent(self, number: int) -> tuple[Sequence[ProviderRecording], bool]:
        return self._listed({}, number)

    def _walk(self, only: Mapping[str, str]) -> Iterator[ProviderRecording]:
        """Every row, newest first, each once: rows that shift between two pages come twice.

        Pages without a new row end the listing, whatever it says of itself: else one that gives its rows again and
        again would use up the budget of calls.
        """
        told: set[str] = set()
        barren = 0
        for number in range(1, MOST_PAGES + 1):
            captures, more = self._listed(only, number)
            # A page of rows that cannot be read may be followed by others.
            barren = barren + 1 if captures and all(capture.id in told for capture in captures) else 0
            for capture in captures:
                if capture.id not in told:
                    told.add(capture.id)
                    yield capture
            if not more or barren == BARREN_PAGES:
                return
        raise ProviderError(f"Cloudflare lists more than {MOST_PAGES} pages")

    def _listed(self, only: Mapping[str, str], number: int) -> tuple[Sequence[ProviderRecording], bool]:
        """One page, counted from 1, and whether there are more.

        Whether Cloudflare counts from 0 or 1, how many rows a page may have and what the defaults are is not
        documented: page 1 is asked for, and its own account of where it begins tells whether there is one before it.
        """
        rows, paging = self._page(only, number)
        begins, ends, total = (
            whole(paging.get(key), MOST_ROWS) for key in ("start_offset", "end_offset", "total_count")
        )
        more = bool(rows) and (ends < total if ends is not None and total is not None else len(rows) >= PAGE)
        # Where pages begin with 0 and all rows fit on that one, page 1 is empty.
        if number == 1 and (begins is None or begins > 1 if rows else total != 0):
            rows = [*self._page_zero(only), *rows]
        readable = [row for row in rows if recording_id(row) is not None]
        if len(readable) < len(rows):
            # Left out, and listed again at the next sync. What is in them is not for the log.
            count("RowsUnreadable", len(rows) - len(readable))
            logger.warning("unreadable rows", page=number, rows=len(rows), unreadable=len(rows) - len(readable))
        return [_capture(row) for row in readable], more

    def _page_zero(self, only: Mapping[str, str]) -> Sequence[Any]:
        try:
            return self._page(only, 0)[0]
        except ProviderRefused:
            # There is none: pages begin with 1.
            return []

    def _page(self, only: Mapping[str, str], number: int) -> tuple[Sequence[Any], Mapping[str, Any]]:
        query = {**only, "sort_by": "invokedTime", "sort_order": "DESC", "page_no": number, "per_page": PAGE}
        document = self._ask("GET", f"/recordings?{urlencode(query)}", None)
        rows, paging = document["data"], document.get("paging")
        if not isinstance(rows, list):
            raise ProviderError("Cloudflare's answer holds no list")
        return rows, paging if isinstance(paging, dict) else {}

    def create_meeting(self, title: str, *, record_on_start: bool) -> str:
        data = self._call("POST", "/meetings", body={"title": title, "record_on_start": record_on_start})
        if not is_cloudflare_id(data.get("id")):
            raise ProviderError("Cloudflare made a meeting without an id")
        return str(data["id"])

    def meeting_records_on_start(self, meeting_id: str) -> bool | None:
        told = self._call("GET", f"/meetings/{quote(meeting_id, safe='')}").get("record_on_start")
        return told if isinstance(told, bool) else None

    def set_meeting(self, meeting_id: str, *, record_on_start: bool) -> None:
        self._call("PATCH", f"/meetings/{quote(meeting_id, safe='')}", body={"record_on_start": record_on_start})

    def _call(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        data = self._ask(method, path, body)["data"]
        if not isinstance(data, dict):
            raise ProviderError("Cloudflare's answer holds no data")
        return data

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        response = self._answered(method, path, body)
        if response.status_code in TOKEN_REFUSED and self._token.read_replacement(self._sent_with) is not None:
            # Refused before anything was done, so that a start is not made twice either.
            response = self._answered(method, path, body)
        try:
            return _document(response)
        except ProviderThrottled as error:
            self._budget.block(error.retry_after)
            raise

    def _answered(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        tries = READ_TRIES if method == "GET" else 1
        response = None
        for attempt in range(1, tries + 1):
            response = self._sent(method, path, body, last=attempt == tries)
            if response is not None:
                break
            # What broke for one broke for many: jitter, of tenths of a second.
            time.sleep(max(0, min(random.uniform(0, PAUSE_SECONDS * attempt), remaining_seconds())))
        assert response is not None, "the last try returns or raises"
        return response

    def _sent(self, method: str, path: str, body: Mapping[str, Any] | None, *, last: bool) -> requests.Response | None:
        """One call, taken from the budget; None when it failed in passing and another try is to follow.

        Raises ProviderTimeout, and sends nothing, when the request that needs it has no time left.
        """
        least = READING_SECONDS if method == "GET" else CHANGING_SECONDS
        held = self._token.read()
        token = held.get("api_token")
        if not token:
            raise InfrastructureError("the secret of Cloudflare lacks api_token")
        self._sent_with = held
        _see_time_left(least)
        self._budget.acquire()
        seconds = _see_time_left(least)
        began = time.monotonic()
        connect = min(CONNECT_SECONDS, seconds / 2)
        try:
            response = self._session.request(
                method,
                self._base + path,
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=(connect, min(READ_SECONDS, seconds - connect)),
                allow_redirects=False,
                stream=True,
            )
            _read(response, until=began + min(seconds, CONNECT_SECONDS + READ_SECONDS))
        except requests.RequestException as error:
            _log(method, path, type(error).__name__, began)
            if not last and not isinstance(error, requests.ReadTimeout):
                # An answer that took the whole time-out is not waited for twice: somebody waits for us.
                return None
            if isinstance(error, requests.Timeout | requests.ConnectionError):
                raise ProviderTimeout("Cloudflare did not answer in time") from error
            raise ProviderError("Cloudflare's answer could not be read") from error
        _log(method, path, str(response.status_code), began)
        spent = SPENT.search(response.headers.get("Ratelimit", ""))
        if spent is not None:
            # Nothing is left of Cloudflare's own count: the next call would be the breach.
            self._budget.block(min(int(spent[1]), BLOCK_SECONDS))
        return None if response.status_code in PASSING and not last else response


def _see_time_left(least: float) -> float:
    """Give the seconds that the request that runs has for Cloudflare. Raises ProviderTimeout with less than `least`."""
    seconds = remaining_seconds() - STORING_SECONDS
    if seconds < least:
        raise ProviderTimeout("Cloudflare did not answer in time")
    return seconds


def _read(response: requests.Response, *, until: float) -> None:
    """Read the body whole. A time-out of `requests` begins anew with each byte; this one holds for all of them.

    Raises ReadTimeout or ConnectionError, of requests.
    """
    content = io.BytesIO()
    try:
        while block := response.raw.read1(BLOCK_BYTES, decode_content=True):
            content.write(block)
            if time.monotonic() > until:
                response.close()
                raise requests.ReadTimeout("the body took too long")
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    content.seek(0)
    response.raw = content


def _log(method: str, path: str, answer: str, began: float) -> None:
    """Say what was asked and how it was answered; bodies and headers hold keys and signed URLs, and stay out."""
    milliseconds = round((time.monotonic() - began) * 1000)
    logger.info("cloudflare", method=method, path=path, answer=answer, milliseconds=milliseconds)


def _document(response: requests.Response) -> Mapping[str, Any]:
    """The answer, which has `data`. Knows both error envelopes, HTML from the edge, and `success: false` in a 2xx.

    The errors that it raises say what became of the call in our own words. Cloudflare's are in no error, no answer and
    no log: they may speak of other customers, and they have no bound. Its status and its numeric code are logged.
    """
    try:
        document = parsed(response.content)
    except (ValueError, RecursionError):
        document = None
    told = document if isinstance(document, dict) else {}
    if response.ok and told.get("success") is not False and "data" in told:
        return told
    status, codes = response.status_code, _codes(told)
    logger.info("cloudflare refused", status=status, codes=codes)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        after = response.headers.get("Retry-After", "")
        pause = int(after) if after.isdecimal() and len(after) < 10 else BLOCK_SECONDS
        raise ProviderThrottled("Cloudflare limits the rate of calls", retry_after=min(pause, LONGEST_BLOCK_SECONDS))
    # A 404 speaks of the recording unless it is a page of the edge, or the gateway's, which knows no such account or
    # app: on their word nobody's recording is given up.
    if status == HTTPStatus.NOT_FOUND and told and NO_ROUTE.isdisjoint(codes):
        raise ProviderNotFound("Cloudflare does not know it")
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
    }:
        raise ProviderRefused(f"Cloudflare refused the call with status {status}")
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        raise ProviderTimeout("Cloudflare did not answer in time")
    raise ProviderError(f"Cloudflare answered with status {status} and no result")


def _codes(told: Mapping[str, Any]) -> Sequence[int]:
    """The numeric codes of both error envelopes, a few at most."""
    errors = told.get("errors")
    listed = [told.get("error"), *(errors if isinstance(errors, list) else [])][:MOST_CODES]
    codes = [one.get("code") for one in listed if isinstance(one, dict)]
    return [code for code in codes if isinstance(code, int) and abs(code) < 10**9]


def _capture(data: Mapping[str, Any], capture_id: str | None = None) -> ProviderRecording:
    """One recording, whatever is null or missing in it; with `capture_id` its id may be missing, too."""
    known = recording_id(data) or capture_id
    if known is None:
        raise ProviderError("Cloudflare told of a recording without an id")
    return read_capture(data, known, now=datetime.now(UTC).replace(microsecond=0))
