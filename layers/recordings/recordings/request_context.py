"""The current request or workflow task: its tenant, its actor, and the deadline of its outside calls.

`http.endpoint` and `workflow.task` enter a context, and adapters read it. A ContextVar holds it: a new thread sees no
context unless it receives a copy.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Final

# The fields of a domain.actor.Actor, which is such a tuple. This module imports nothing of ours.
type ActorFields = tuple[str, str, str | None, str | None]

# Lambda stops an API function after 29 seconds (template.yaml), and API Gateway waits for 30 (HTTP API, "Quotas").
# Calls must end earlier, so that the function's own response reaches the caller.
REQUEST_SECONDS: Final = 25.0
# Reserved at the end of a function: first to release what the request holds, then to respond.
CLEANUP_SECONDS: Final = 3.0
RESPONSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`tenant_id` and `actor` are None if unknown.

    `deadline` is in seconds of time.monotonic(), infinite without a deadline.
    """

    tenant_id: str | None = None
    deadline: float = math.inf
    actor: ActorFields | None = None


NO_CONTEXT: Final = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("request", default=NO_CONTEXT)


def current_tenant() -> str | None:
    """The tenant of the current request or task, or None if unknown."""
    return _current.get().tenant_id


def current_actor() -> ActorFields | None:
    """Who makes the current request or task, or None if unknown."""
    return _current.get().actor


def remaining_seconds() -> float:
    """Seconds until the deadline: infinite without a deadline, negative after it."""
    return _current.get().deadline - time.monotonic()


def request_seconds(function_seconds: float) -> float:
    """How long the calls of a request may take if Lambda stops the function in `function_seconds`."""
    return min(REQUEST_SECONDS, function_seconds - CLEANUP_SECONDS - RESPONSE_SECONDS)


@contextmanager
def request_context(
    *, tenant_id: str | None, actor: ActorFields | None = None, seconds: float = math.inf
) -> Iterator[None]:
    """Run the block for this tenant and this actor, with a deadline `seconds` from now."""
    token = _current.set(RequestContext(tenant_id, time.monotonic() + seconds, actor))
    try:
        yield
    finally:
        _current.reset(token)


def cleanup[**P, T](release: Callable[P, T]) -> Callable[P, T]:
    """Give a function that releases what the request holds CLEANUP_SECONDS beyond the deadline."""

    @wraps(release)
    def released(*args: P.args, **kwargs: P.kwargs) -> T:
        current = _current.get()
        token = _current.set(replace(current, deadline=current.deadline + CLEANUP_SECONDS))
        try:
            return release(*args, **kwargs)
        finally:
            _current.reset(token)

    return released
