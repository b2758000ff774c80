"""Change a recording that others may be changing too, and act on what was decided.

Every command keeps one order: decide on what was read, store the decision on the condition that nothing has changed
since, and only then act on it outside. Who is refused has therefore started nothing, and who dies after the store has
left a decision that can be read: the same call, or the next sync, carries it out.
"""

from collections.abc import Callable
from typing import Final

from recordings.domain.errors import ConcurrentUpdate, Throttled
from recordings.domain.recording import Recording
from recordings.ports.repositories import Recordings

TRIES: Final = 5


def changed(
    recordings: Recordings,
    load: Callable[[], Recording],
    change: Callable[[Recording], Recording],
    *,
    known: Recording | None = None,
    on_stored: Callable[[Recording], object] = lambda recording: None,
) -> Recording:
    """Load, change and save, from the beginning when somebody else was faster; give the recording as it is then.

    `change` may give what it was given: then nothing is written. With `known` the first try takes that instead of
    loading it again. `on_stored` receives the recording that this call has stored. Raises ConcurrentUpdate when others
    are faster each time, and what `load` and `change` raise.
    """
    before = known if known is not None else load()
    for attempt in range(1, TRIES + 1):
        after = change(before)
        try:
            recordings.save(before, after)
        except ConcurrentUpdate:
            if attempt == TRIES:
                raise
            before = load()
        else:
            if after is not before:
                on_stored(after)
            break
    return after


def start_now_or_by_sync(start: Callable[[], None]) -> None:
    """Start the execution of a decision that is stored.

    The caller's wish is granted and cannot be asked for again. If Step Functions takes no execution now, the next sync
    finds the decision without one and starts it.
    """
    try:
        start()
    except Throttled:
        pass
