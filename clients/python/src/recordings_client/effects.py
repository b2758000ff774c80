"""Requests and waits as values. A call is a generator that yields them, and a client carries them out.

So every call is written once, for the blocking client and for the asyncio client.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

import httpx

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A request to the API. Its outcome is an `Answer`. The client adds the token."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A request to the storage, without the token. Its outcome is an `Answer` with an empty body.

    `receive` gets status and headers. It returns a function for the bytes, or None to drop them.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str]
    receive: Callable[[int, httpx.Headers], Callable[[bytes], None] | None]


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause. Its outcome is None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    headers: httpx.Headers
    body: bytes = b""

    @property
    def request_id(self) -> str | None:
        # The second is the gateway's own, for requests that did not reach the API.
        found: str | None = self.headers.get("x-request-id") or self.headers.get("apigw-requestid")
        return found

    @property
    def retry_after(self) -> float | None:
        """Seconds, from both forms of Retry-After (RFC 9110, 10.2.3)."""
        given = self.headers.get("retry-after", "").strip()
        if given.isascii() and given.isdigit():
            return float(given)
        try:
            at = parsedate_to_datetime(given)
        except (TypeError, ValueError):
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())


Effect: TypeAlias = Send | Fetch | Wait
Steps: TypeAlias = Generator[Effect, Any, T]
