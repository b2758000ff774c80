"""Requests to RealtimeKit's REST API: the token, the rate limit, time-outs, retries and errors.

Only reads are retried, and each attempt takes one call of the rate limit.
"""

import io
import random
import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

import requests
from urllib3.exceptions import HTTPError

from recordings import settings
from recordings.adapters.cloudflare.models import parse_json
from recordings.domain.errors import (
    InfrastructureError,
    ProviderError,
    ProviderNotFound,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
)
from recordings.observability import logger
from recordings.ports.provider import RateLimiter
from recordings.request_context import remaining_seconds

# Both are shorter if the request's deadline comes sooner.
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
# Reserved at the end of a request: what Cloudflare did must still be stored.
STORING_SECONDS: Final = 3.0
# A change is not sent with less time than this. Its response would be lost, and with it the knowledge of what was done.
CHANGING_SECONDS: Final = 3.0
READING_SECONDS: Final = 0.5
BLOCK_BYTES: Final = 64 * 1024
MAX_READ_ATTEMPTS: Final = 3
# The longest pause before the second attempt.
PAUSE_SECONDS: Final = 0.2
# Temporary errors of Cloudflare's edge. Not 429, because its pause can be longer than the caller's time.
RETRIED: Final = frozenset({500, 502, 503, 504})
# The responses to a revoked or replaced token (fundamentals/api/troubleshooting).
TOKEN_REJECTED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# Above its limit, Cloudflare blocks every call for five minutes (fundamentals/api/reference/limits).
BLOCK_SECONDS: Final = 300
# Cloudflare documents no longer pause. A wrong header must not stop all calls for good.
MAX_BLOCK_SECONDS: Final = 3600
# "Ratelimit": "default";r=0;t=30 means: no calls left for 30 seconds (fundamentals/api/reference/limits).
EXHAUSTED: Final = re.compile(r"\br=0;\s*t=(\d{1,6})")
# The gateway's codes for an address that it does not know: "Could not route to …", "No route for that URI".
NO_ROUTE: Final = frozenset({7000, 7003})
MAX_LOGGED_CODES: Final = 5


class Credentials(Protocol):
    """The secret with the API token, `api_token`. adapters.aws.secrets.Secret has the contract."""

    def read(self) -> Mapping[str, str]: ...
    def read_replacement(self, rejected: Mapping[str, str]) -> Mapping[str, str] | None: ...


class CloudflareApi:
    """Sends requests, and returns the JSON of successful responses.

    Both methods raise:
        ProviderNotFound: Cloudflare does not know the resource
        ProviderRefused: Cloudflare rejects the request (another 4xx)
        ProviderThrottled: the rate limit is reached; `retry_after` is in seconds
        ProviderTimeout: no response in time; a change may or may not have happened
        ProviderError: another failure, or a response that cannot be read
        InfrastructureError: the secret has no token
    """

    def __init__(self, rate_limiter: RateLimiter, *, token: Credentials) -> None:
        self._rate_limiter, self._token = rate_limiter, token
        api_url, account_id, app_id, _ = settings.CLOUDFLARE()
        self._base = f"{api_url}/accounts/{account_id}/realtime/kit/{app_id}"
        self._sent_with: Mapping[str, str] = {}
        # The session itself retries nothing, because each attempt takes a call of the rate limit.
        self._session = requests.Session()

    def call(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Send a request and return the object `data` of the response."""
        data = self.request(method, path, body=body)["data"]
        if not isinstance(data, dict):
            raise ProviderError("Cloudflare's response has no data.")
        return data

    def request(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Send a request and return the whole response, which has `data`."""
        response = self._send(method, path, body)
        if response.status_code in TOKEN_REJECTED and self._token.read_replacement(self._sent_with) is not None:
            # A rejected request has done nothing, so even a start is sent once only.
            response = self._send(method, path, body)
        try:
            return _document(response)
        except ProviderThrottled as error:
            self._rate_limiter.block(error.retry_after)
            raise

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        attempts = MAX_READ_ATTEMPTS if method == "GET" else 1
        for attempt in range(1, attempts):
            response = self._attempt(method, path, body, is_last=False)
            if response is not None:
                return response
            # Full jitter: many callers see the same failure at the same time.
            time.sleep(max(0, min(random.uniform(0, PAUSE_SECONDS * attempt), remaining_seconds())))
        response = self._attempt(method, path, body, is_last=True)
        assert response is not None, "the last attempt returns or raises"
        return response

    def _attempt(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, is_last: bool
    ) -> requests.Response | None:
        """Send a request once. None: it failed temporarily, and another attempt follows.

        Raises:
            ProviderTimeout: no response in time, or too little time left to send the request
        """
        min_seconds = READING_SECONDS if method == "GET" else CHANGING_SECONDS
        secret = self._token.read()
        token = secret.get("api_token")
        if not token:
            raise InfrastructureError("The secret of Cloudflare lacks api_token.")
        self._sent_with = secret
        _require_time(min_seconds)
        self._rate_limiter.acquire()
        seconds = _require_time(min_seconds)
        started = time.monotonic()
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
            _read_body(response, until=started + min(seconds, CONNECT_SECONDS + READ_SECONDS))
        except requests.RequestException as error:
            _log(method, path, type(error).__name__, started)
            if not is_last and not isinstance(error, requests.ReadTimeout):
                # A response that took the whole time-out is not waited for twice: the caller waits as well.
                return None
            raise _translated(error) from error
        _log(method, path, str(response.status_code), started)
        exhausted = EXHAUSTED.search(response.headers.get("Ratelimit", ""))
        if exhausted is not None:
            # Cloudflare's own count is exhausted: the next call would exceed the limit.
            self._rate_limiter.block(min(int(exhausted[1]), BLOCK_SECONDS))
        return None if response.status_code in RETRIED and not is_last else response


def _require_time(min_seconds: float) -> float:
    """Return the seconds that the current request has for Cloudflare.

    Raises:
        ProviderTimeout: less than `min_seconds`
    """
    seconds = remaining_seconds() - STORING_SECONDS
    if seconds < min_seconds:
        raise ProviderTimeout("Cloudflare did not respond in time.")
    return seconds


def _read_body(response: requests.Response, *, until: float) -> None:
    """Read the whole body. A time-out of `requests` restarts with each byte; `until` bounds the whole body.

    Raises:
        ReadTimeout, ConnectionError: errors of requests
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


def _translated(error: requests.RequestException) -> ProviderError | ProviderTimeout:
    if isinstance(error, requests.Timeout | requests.ConnectionError):
        return ProviderTimeout("Cloudflare did not respond in time.")
    return ProviderError("Cloudflare's response could not be read.")


def _log(method: str, path: str, outcome: str, started: float) -> None:
    """Log a request and its outcome, without bodies and headers, which contain keys and signed URLs."""
    milliseconds = round((time.monotonic() - started) * 1000)
    logger.info("cloudflare", method=method, path=path, outcome=outcome, milliseconds=milliseconds)


def _document(response: requests.Response) -> Mapping[str, Any]:
    """Return the JSON of a successful response, or raise the error for it.

    Handles both error envelopes, HTML from the edge, and `success: false` in a 2xx. No error, response or log contains
    Cloudflare's text: it may be about other customers, and has no bound. The status and the numeric codes are logged.
    """
    try:
        document = parse_json(response.content)
    except (ValueError, RecursionError):
        document = None
    envelope = document if isinstance(document, dict) else {}
    if response.ok and envelope.get("success") is not False and "data" in envelope:
        return envelope
    codes = _codes(envelope)
    logger.info("cloudflare refused", status=response.status_code, codes=codes)
    raise _error(response, is_json=bool(envelope), codes=codes)


def _error(response: requests.Response, *, is_json: bool, codes: Sequence[int]) -> Exception:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProviderThrottled("Cloudflare's rate limit is reached.", retry_after=_retry_after(response))
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return ProviderTimeout("Cloudflare did not respond in time.")
    # A 404 is about the resource, unless it is a page of the edge, or the gateway's for an unknown account or app.
    if status == HTTPStatus.NOT_FOUND and is_json and NO_ROUTE.isdisjoint(codes):
        return ProviderNotFound("Cloudflare does not know the resource.")
    is_ours = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and not is_ours:
        return ProviderRefused(f"Cloudflare rejected the request with status {status}.")
    return ProviderError(f"Cloudflare responded with status {status} and no result.")


def _retry_after(response: requests.Response) -> int:
    given = response.headers.get("Retry-After", "")
    seconds = int(given) if given.isdecimal() and len(given) < 10 else BLOCK_SECONDS
    return min(seconds, MAX_BLOCK_SECONDS)


def _codes(envelope: Mapping[str, Any]) -> Sequence[int]:
    """Return the first numeric codes of both error envelopes."""
    errors = envelope.get("errors")
    listed = [envelope.get("error"), *(errors if isinstance(errors, list) else [])][:MAX_LOGGED_CODES]
    codes = [error.get("code") for error in listed if isinstance(error, dict)]
    return [code for code in codes if isinstance(code, int) and abs(code) < 10**9]
