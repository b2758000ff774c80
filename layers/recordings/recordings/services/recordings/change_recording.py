"""Change a recording that other calls may change at the same time.

Each command decides from what it read, stores the decision on the condition that nothing has changed since, and then
acts. So a rejected call has started nothing. A call that dies after the write leaves a stored decision: the same call
or the next sync carries it out.
"""

from collections.abc import Callable
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, Throttled
from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings

MAX_ATTEMPTS: Final = 5


def changed(
    recordings: Recordings,
    load: Callable[[], Recording],
    change: Callable[[Recording], Recording],
    *,
    known: Recording | None = None,
    on_stored: Callable[[Recording], object] = lambda recording: None,
) -> Recording:
    """Load, change and save a recording, again if another call was faster. Return it as it is stored then.

    If `change` returns its argument, nothing is written. The first attempt uses `known` instead of loading it.
    `on_stored` receives the recording that this call has stored.

    Raises:
        ConcurrentUpdate: another call was faster in each attempt
        Throttled: DynamoDB is busy or does not respond
    """
    before = known if known is not None else load()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        after = change(before)
        try:
            stored = recordings.save(before, after)
        except ConcurrentUpdate:
            if attempt == MAX_ATTEMPTS:
                raise
            before = load()
        else:
            if after is not before:
                on_stored(stored)
            break
    return stored


def start_now_or_by_sync(start: Callable[[], None]) -> None:
    """Start the execution of a stored decision. If Step Functions is throttled, the next sync starts it.

    The caller gets a success in both cases: the decision is stored, so the same call would be refused.
    """
    try:
        start()
    except Throttled:
        pass
