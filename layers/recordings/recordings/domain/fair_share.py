"""Fair shares of one rate limit between tenants.

The limit is a leaky bucket. A call fills it, and it drains at a steady rate. Every tenant has a part of the bucket:
its calls that have not drained yet. Two rules make it fair:

* What drains is divided equally between the parts that are not empty. So the calls of a tenant
  with few calls drain at once, and its unused share goes to the others (max-min fairness; Bertsekas and Gallager, "Data
  Networks", 6.5.2).
* A tenant may call while its part is smaller than what the bucket has left ("dynamic thresholds"; Choudhury and Hahne,
  IEEE/ACM Transactions on Networking 6, 1998). A tenant that calls alone takes half of the bucket and then the whole
  rate; as much as it took stays free for whoever comes next, at any moment.

Callers of a lower priority reach their limit before the bucket is full. The last of it is for stops alone.

The bucket drains in ticks, not continuously: between two ticks a store can admit a call with comparisons alone.
Amounts are thousandths of a call, so all arithmetic is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

CALL: Final = 1000
TICK_SECONDS: Final = 5
TICKS_PER_MINUTE: Final = 60 // TICK_SECONDS

type Caller = Literal["stop", "interactive", "workflow", "background"]
CALLERS: Final[tuple[Caller, ...]] = ("stop", "interactive", "workflow", "background")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The rate limit and its division. `calls_per_minute` is the size of the bucket, and what drains in a minute."""

    calls_per_minute: int
    stop_reserve_percent: int
    tenant_percent: int
    workflow_percent: int
    sync_percent: int

    def limit(self, caller: Caller) -> int:
        """Return how full this caller may make the bucket."""
        interactive = 100 - self.stop_reserve_percent
        percent = {
            "stop": 100,
            "interactive": interactive,
            "workflow": min(self.workflow_percent, interactive),
            "background": min(self.sync_percent, interactive),
        }[caller]
        return self.calls_per_minute * CALL * percent // 100

    @property
    def per_tick(self) -> int:
        """The amount that drains in a tick."""
        return self.calls_per_minute * CALL // TICKS_PER_MINUTE

    def allowance(self, left: int) -> int:
        """Return how large a tenant's part may be when so much of the bucket is left: as large as that at 50 percent.

        Alone, a tenant takes `tenant_percent` of the bucket: then its part is what this allows for the rest.
        """
        return left * self.tenant_percent // (100 - self.tenant_percent)


@dataclass(frozen=True, slots=True)
class Usage:
    """The bucket at a tick. `stops` has the amount of each part that stops took."""

    tick: int
    parts: Mapping[str, int] = field(default_factory=dict)
    stops: Mapping[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        return sum(self.parts.values())


def allowed(usage: Usage, caller: Caller, shares: Shares) -> int:
    """Return the size from which on a part takes no more calls."""
    return shares.allowance(shares.limit(caller) - usage.used)


def is_full(usage: Usage, caller: Caller, shares: Shares) -> bool:
    """Return whether the bucket has no room for a call of this caller, for any tenant."""
    return allowed(usage, caller, shares) < shares.allowance(CALL)


def admits(usage: Usage, caller: Caller, part: str, shares: Shares) -> bool:
    """Return whether a call may be made. Only stops count against a stop; other calls of its tenant do not."""
    own = (usage.stops if caller == "stop" else usage.parts).get(part, 0)
    return not is_full(usage, caller, shares) and own < allowed(usage, caller, shares)


def taken(usage: Usage, caller: Caller, part: str) -> Usage:
    """Return the bucket after a call."""
    parts = {**usage.parts, part: usage.parts.get(part, 0) + CALL}
    stops = {**usage.stops, part: usage.stops.get(part, 0) + CALL} if caller == "stop" else usage.stops
    return Usage(usage.tick, parts, stops)


def drained(usage: Usage, tick: int, shares: Shares) -> Usage:
    """Return the bucket at a later tick. At an earlier tick, of a late clock, nothing has drained."""
    level = _level([*usage.parts.values()], max(0, tick - usage.tick) * shares.per_tick)
    return Usage(tick, _above(usage.parts, level), _above(usage.stops, level))


def ticks_until_admitted(usage: Usage, caller: Caller, part: str, shares: Shares) -> int:
    """Return after how many ticks a call that is not admitted now is admitted, if no other call is made."""
    for ticks in range(1, TICKS_PER_MINUTE + 2):
        if admits(drained(usage, usage.tick + ticks, shares), caller, part, shares):
            return ticks
    return TICKS_PER_MINUTE + 2


def _above(parts: Mapping[str, int], level: int) -> dict[str, int]:
    return {name: part - level for name, part in parts.items() if part > level}


def _level(parts: list[int], drain: int) -> int:
    """Return how much each part loses if they lose `drain` together, each the same or all that it has."""
    parts.sort()
    level = 0
    for place, part in enumerate(parts):
        level = drain // (len(parts) - place)
        if part > level:
            return level
        drain -= part
        level = part
    return level
