"""Idempotency-Key: the first response to a request is stored and returned again for a repeated one.

Only a response that settles the request is stored. After "try again" (5xx, a passing conflict) the key is released, so
that the next call does the work.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from recordings.http.problems import ProblemError, invalid_field
from recordings.observability import logger
from recordings.ports.repositories import IdempotencyKeys
from recordings.ports.system import Clock

type ApiEvent = dict[str, Any]
type ApiResponse = dict[str, Any]

MAX_KEY_CHARACTERS: Final = 128
# Conflicts that may be over a moment later.
PASSING_CONFLICTS: Final = frozenset({"concurrent_update", "request_in_progress"})


def is_passing(problem: ProblemError) -> bool:
    """Return whether a refusal says "try again", so that the same call must do the work again."""
    if problem.code == "room_already_recording" and problem.blocker is None:
        # Another call is starting a recording and may fail. There is no recording yet that could be stopped.
        return True
    return problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR or problem.code in PASSING_CONFLICTS


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableRequest:
    """What identifies a request that carries a key."""

    tenant_id: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, event: ApiEvent, *, tenant_id: str, key: str, raw_body: bytes) -> "RepeatableRequest":
        """Read the request of an event.

        Raises:
            ProblemError: 400 `invalid_request`: the key is empty, too long or not printable ASCII
        """
        if not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
            raise invalid_field("Idempotency-Key", f"must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters")
        method = event["requestContext"]["http"]["method"]
        line = "\n".join([method, event.get("rawPath", ""), event.get("rawQueryString", "")])
        # A lone surrogate cannot be encoded.
        content = line.encode("utf-8", "replace") + b"\n" + raw_body
        return cls(tenant_id=tenant_id, key=key, fingerprint=hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Returns the stored response to a repeated request, or stores the first one."""

    keys: IdempotencyKeys
    clock: Clock

    def respond(
        self, request: RepeatableRequest, request_id: str, process: Callable[[], tuple[ApiResponse, bool]]
    ) -> ApiResponse:
        """Return the stored response under the new request id, or call `process`.

        `process` returns the response, and whether it settles the request.

        Raises:
            IdempotencyKeyReused: the key belongs to another request
            RequestInProgress: the first request with this key is still running
        """
        stored = self.keys.reserve(request.tenant_id, request.key, fingerprint=request.fingerprint, now=self.clock())
        if stored is not None:
            return {**stored, "headers": {**stored["headers"], "x-request-id": request_id}}
        try:
            response, settles = process()
        except Exception:
            self._release(request)
            raise
        if settles:
            self._store(request, response)
        else:
            self._release(request)
        return response

    def _store(self, request: RepeatableRequest, response: ApiResponse) -> None:
        try:
            self.keys.store_response(request.tenant_id, request.key, response=response, now=self.clock())
        except Exception:
            # The work is done, and the caller must receive its response. The reservation of the key expires.
            logger.exception("response not stored")

    def _release(self, request: RepeatableRequest) -> None:
        try:
            self.keys.release(request.tenant_id, request.key)
        except Exception:
            # The caller must receive the reason of the failure. The reservation of the key expires.
            logger.exception("key not released")
