"""Requests, their retries and the pauses between them."""

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from recordings_client.effects import Answer, Send, Steps, Wait
from recordings_client.errors import NoAnswer, RecordingsError, RequestInProgress, UnexpectedAnswer, error_of
from recordings_client.models import MalformedDocument

T = TypeVar("T")

# After these statuses nothing is half done. 500 is a bug, which a retry seldom mends.
TEMPORARY: Final = frozenset({429, 502, 503, 504})
FIRST_PAUSE: Final = 0.5
MAX_PAUSE: Final = 8.0


def new_key() -> str:
    """Return a new Idempotency-Key."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How requests are retried.

    `retries` counts the attempts after the first. A Retry-After above `longest_wait` seconds is not obeyed: the error
    is raised. If `new_key` is None, no Idempotency-Key is sent unless the caller passes one, and a POST without a key
    is not retried. `jitter` returns numbers from 0 to 1, `clock` monotonic seconds.
    """

    retries: int = 3
    longest_wait: float = 30.0
    new_key: Callable[[], str] | None = new_key
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def pause(self, tries: int, *, first: float = FIRST_PAUSE, longest: float = MAX_PAUSE) -> float:
        """Return the seconds to wait after `tries` attempts: doubling, with jitter against simultaneous retries."""
        # Without a bound on the exponent, many attempts overflow a float.
        return float(min(longest, first * 2 ** min(tries, 32)) * (0.5 + self.jitter() / 2))

    def exchange(
        self,
        method: str,
        path: str,
        parse: Callable[[Answer], T],
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[T]:
        """Send a request, with retries where they are safe. Raises the last error."""
        key = idempotency_key
        # DELETE too: a retry without a key after a lost response would find nothing to delete.
        if key is None and method in ("POST", "DELETE") and self.new_key is not None:
            key = self.new_key()
        retries = self.retries if key is not None or method != "POST" else 0
        headers = {"Accept": "application/json"} | ({"Idempotency-Key": key} if key is not None else {})
        request = Send(method=method, path=path, query=query, body=body, headers=headers)
        tries = 0
        while True:
            try:
                response: Answer = yield request
            except httpx.HTTPError as cause:
                if tries >= retries:
                    raise NoAnswer(f"The API did not answer: {str(cause) or type(cause).__name__}.") from cause
                pause = self.pause(tries)
            else:
                if 200 <= response.status < 300:
                    return _parsed(response, parse)
                error = error_of(response)
                if tries >= retries or not _is_temporary(error):
                    raise error
                pause = self.pause(tries) if error.retry_after is None else error.retry_after
                if pause > self.longest_wait:
                    raise error
            tries += 1
            yield Wait(pause)


def _is_temporary(error: RecordingsError) -> bool:
    # The API stores other conflicts under the key and would return them again.
    return error.status in TEMPORARY or isinstance(error, RequestInProgress)


def _parsed(response: Answer, parse: Callable[[Answer], T]) -> T:
    try:
        return parse(response)
    except MalformedDocument as cause:
        raise UnexpectedAnswer(
            f"The API's answer is not what was promised: {cause}.",
            status=response.status,
            request_id=response.request_id,
        ) from cause


def whole(read: Callable[[object], T]) -> Callable[[Answer], T]:
    """Return a function that reads the whole JSON body."""

    def parse(response: Answer) -> T:
        try:
            return read(json.loads(response.body))
        except MalformedDocument:
            raise
        except (ValueError, RecursionError):
            raise MalformedDocument("the body is not JSON") from None

    return parse


def data(read: Callable[[object], T]) -> Callable[[Answer], T]:
    """Return a function that reads the `data` of the JSON body."""

    def opened(given: object) -> T:
        if not isinstance(given, dict) or "data" not in given:
            raise MalformedDocument("there is no data in it")
        return read(given["data"])

    return whole(opened)
