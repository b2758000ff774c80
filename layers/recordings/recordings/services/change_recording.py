"""Change a recording that others may be changing too."""

from collections.abc import Callable
from typing import Final

from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.recording import Recording
from recordings.ports import Recordings

TRIES: Final = 5


def changed(
    recordings: Recordings, load: Callable[[], Recording], change: Callable[[Recording], Recording]
) -> Recording:
    """Load, change and save, from the beginning when somebody else was faster; give the recording as it is then.

    `change` may give what it was given: then nothing is written. Raises ConcurrentUpdate when others are faster each
    time, and what `load` and `change` raise.
    """
    for _ in range(TRIES - 1):
        before = load()
        after = change(before)
        try:
            recordings.save(before, after)
            return after
        except ConcurrentUpdate:
            continue
    before = load()
    after = change(before)
    recordings.save(before, after)
    return after
