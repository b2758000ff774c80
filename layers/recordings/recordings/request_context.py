"""The request or workflow task that runs: for which tenant, and until when its calls to the outside may take.

`http.endpoint` and `workflow.task` enter a context; adapters read it. A context lives in a ContextVar: code on a thread
of its own sees none unless it is given a copy.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Final

# An API function is stopped at 29 seconds (template.yaml), and API Gateway waits for 30 (HTTP API, "Quotas"). Its calls
# must end before, so that its own answer reaches the caller.
REQUEST_SECONDS: Final = 25.0
# Kept back from the function's own end: to release what the request holds, then to answer.
CLEANUP_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`tenant_id` None: not known. `deadline`: on time.monotonic(), in seconds; infinite when there is none."""

    tenant_id: str | None = None
    deadline: float = math.inf


NOTHING: Final = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("request", default=NOTHING)


def current_tenant() -> str | None:
    """The tenant that the present work is done for, or None."""
    return _current.get().tenant_id


def remaining_seconds() -> float:
    """Seconds until the deadline: infinite without one, negative after it."""
    return _current.get().deadline - time.monotonic()


def request_seconds(function_seconds: float) -> float:
    """How long the calls of a request may take in a function that is stopped in so many seconds."""
    return min(REQUEST_SECONDS, function_seconds - CLEANUP_SECONDS - ANSWER_SECONDS)


@contextmanager
def request_context(*, tenant_id: str | None, seconds: float = math.inf) -> Iterator[None]:
    """Do the work inside for this tenant, with a deadline in so many seconds."""
    token = _current.set(RequestContext(tenant_id, time.monotonic() + seconds))
    try:
        yield
    finally:
        _current.reset(token)


def cleanup[**P, T](release: Callable[P, T]) -> Callable[P, T]:
    """Let a function that releases what the request holds take CLEANUP_SECONDS more than the deadline allows."""

    @wraps(release)
    def released(*given: P.args, **named: P.kwargs) -> T:
        present = _current.get()
        token = _current.set(replace(present, deadline=present.deadline + CLEANUP_SECONDS))
        try:
            return release(*given, **named)
        finally:
            _current.reset(token)

    return released
