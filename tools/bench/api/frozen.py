"""A clock that stands still.

The table of costs is compared exactly. With a clock that runs, a call could fall into another minute of the rate limit
or another day of the counters, and times of another length could make an item larger than a unit.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import Final, Self

from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter

# A Tuesday at noon. Its time in seconds has no zeros at the end, which an item would not store.
NOW: Final = datetime(2026, 1, 20, 12, 0, 11, tzinfo=UTC)
# Where the time is read: our code, and the stand-in for Cloudflare.
READERS: Final = ("recordings.", "tools.local.standin.")


class _Frozen(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp(), tz)


@contextmanager
def frozen_rate_limit() -> Iterator[None]:
    """Stop the clock of every rate limiter that is built within the block."""
    defaults = DynamoRateLimiter.__init__.__kwdefaults__
    assert defaults is not None
    before = defaults["clock"]
    defaults["clock"] = NOW.timestamp
    try:
        yield
    finally:
        defaults["clock"] = before


@contextmanager
def frozen_clock() -> Iterator[None]:
    """Let every module that is loaded and asks for the time get NOW, within the block."""
    changed = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(READERS)
        and vars(module).get("datetime") is datetime
        and "datetime.now(" in inspect.getsource(module)
    ]
    for module in changed:
        vars(module)["datetime"] = _Frozen
    try:
        yield
    finally:
        for module in changed:
            vars(module)["datetime"] = datetime
