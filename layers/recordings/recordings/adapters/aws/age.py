"""How long ago something was read, in a process that Lambda may freeze."""

import time
from typing import NamedTuple


class Age(NamedTuple):
    """A moment on two clocks. Lambda freezes idle processes, and a monotonic clock may stop meanwhile."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> "Age":
        return cls(time.monotonic(), time.time())

    def seconds(self) -> float:
        """Seconds since that moment, by the clock that counts more: neither a freeze nor a wall clock that is set back
        makes it shorter."""
        return max(time.monotonic() - self.monotonic, time.time() - self.wall)
