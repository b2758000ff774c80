"""Who makes the changes that are stored."""

from typing import Any

from recordings import request_context
from recordings.domain.actor import Actor
from recordings.domain.errors import InfrastructureError

# Who acts outside of every request and task.
NOBODY: Actor | None = None


def current_actor() -> Actor:
    """Return who makes the current request or task.

    Raises:
        InfrastructureError: nobody is known; a change without an actor is never stored
    """
    fields: Any = request_context.current_actor() or NOBODY
    if fields is None:
        raise InfrastructureError("a change was about to be stored without an actor")
    return Actor(*fields)
