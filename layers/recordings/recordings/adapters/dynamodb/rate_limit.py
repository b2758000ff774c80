"""The rate limit of calls to Cloudflare: one for the whole deployment, shared fairly between tenants.

Cloudflare allows 1,200 calls in five minutes for each token and blocks every call for five minutes after a breach
(fundamentals/api/reference/limits). Ours is a leaky bucket of CLOUDFLARE_CALLS_PER_MINUTE calls, which drains once in a
minute (domain.fair_share). Five minutes see at most six times as many calls, by default 1,140. The rest is left to the
dashboard, which shares Cloudflare's limit. Every call that is sent counts, repeats after an error too.

The bucket is one item of the table. A call is one conditional write. The first call of a tick, five seconds, takes a
second write, which drains the bucket. The item holds some 14 bytes for each tenant whose calls have not drained, and
at most twice as many tenants as the bucket has calls.
"""

import math
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from recordings import settings
from recordings.adapters.dynamodb.items import RateLimitItem
from recordings.adapters.dynamodb.writes import put_item, update_item
from recordings.domain.errors import ProviderThrottled, TenantThrottled, Throttled
from recordings.domain.fair_share import (
    CALL,
    CALLERS,
    TICK_SECONDS,
    TICKS_PER_MINUTE,
    Caller,
    Shares,
    Usage,
    admits,
    allowed,
    drained,
    is_full,
    taken,
    ticks_until_admitted,
)
from recordings.observability import count
from recordings.request_context import current_tenant

KEY: Final = ("BUDGET", "CLOUDFLARE")
# The parts of calls that belong to no tenant. No hash is as short as these, so none is a tenant's.
UNASSIGNED_PARTS: Final[Mapping[Caller, str]] = {
    "stop": "other",
    "interactive": "other",
    "workflow": "webhook",
    "background": "sync",
}
# The part of calls that a release before the first one counted, minute by minute.
EARLIER: Final = "earlier"
MAX_ATTEMPTS: Final = 5
# What each caller may take.
ALLOWED: Final[Mapping[Caller, Attribute[int]]] = {
    "stop": RateLimitItem.allowed_stop,
    "interactive": RateLimitItem.allowed_interactive,
    "workflow": RateLimitItem.allowed_workflow,
    "background": RateLimitItem.allowed_background,
}


class _Unwritten(Exception):
    """The condition of a write failed. `held` is the item in the table."""

    def __init__(self, held: RateLimitItem | None) -> None:
        super().__init__()
        self.held = held or RateLimitItem(*KEY)


def _shares() -> Shares:
    configured = settings.RATE_LIMIT()
    return Shares(
        calls_per_minute=configured.calls_per_minute,
        stop_reserve_percent=configured.stop_reserve_percent,
        tenant_percent=configured.tenant_percent,
        workflow_percent=configured.workflow_percent,
        sync_percent=configured.sync_percent,
    )


class DynamoRateLimiter:
    """Implements ports.provider.RateLimiter for one kind of caller.

    A call counts for the tenant of the current request or task (request_context). Calls of the sync and of webhooks
    belong to no tenant: they have a part of their own, as a tenant has. `clock` returns seconds since 1970.
    """

    def __init__(self, caller: Caller = "interactive", *, clock: Callable[[], float] = time.time) -> None:
        self._caller = caller
        self._clock = clock
        self._shares = _shares()

    @property
    def caller(self) -> Caller:
        return self._caller

    def acquire(self) -> None:
        tenant = self._tenant()
        part = UNASSIGNED_PARTS[self._caller] if tenant is None else part_of(tenant)
        for _ in range(MAX_ATTEMPTS):
            now = self._clock()
            tick = int(now // TICK_SECONDS)
            item = self._take(part, now, tick)
            if item is None or self._take_from_drained(item, part, now, tick):
                count("CloudflareCalls")
                return
        raise Throttled("too many calls at the same moment; try again in a moment", retry_after=1)

    def _tenant(self) -> str | None:
        return None if self._caller == "background" else current_tenant()

    def _take(self, part: str, now: float, tick: int) -> RateLimitItem | None:
        """Count a call if the bucket is of this tick and admits the call. Return None, or the item if it does not.

        botocore repeats a write whose response was lost. The call then counts twice, which is better than not at all.
        """
        counted = "stops" if self._caller == "stop" else "parts"
        mine = ALLOWED[self._caller]
        less = self._shares.allowance(CALL)
        actions: list[Action] = [RateLimitItem.used.set(RateLimitItem.used + CALL)]
        actions += [allowed.set(allowed - less) for allowed in ALLOWED.values()]
        actions += [Path([of, part]).set((Path([of, part]) | 0) + CALL) for of in sorted({"parts", counted})]
        own = Path([counted, part])
        # A late clock takes from the bucket as it is. A clock that was far ahead must not stop the drain.
        condition = (
            RateLimitItem.tick.between(tick, tick + TICKS_PER_MINUTE)
            & (mine >= less)
            & (own.does_not_exist() | (own < Path(mine)))
            & (RateLimitItem.blocked_until.does_not_exist() | (RateLimitItem.blocked_until <= now))
        )
        try:
            update_item(RateLimitItem(*KEY), actions, condition, otherwise=_Unwritten)
        except _Unwritten as unwritten:
            return unwritten.held
        return None

    def _take_from_drained(self, item: RateLimitItem, part: str, now: float, tick: int) -> bool:
        """Drain a bucket of an earlier tick and count a call. Return False if another call changed the item first.

        Raises:
            TenantThrottled: this tenant has used its share
            ProviderThrottled: no call is left for this caller, or Cloudflare blocks all calls
        """
        if item.blocked_until is not None and item.blocked_until > now:
            wait = int(item.blocked_until - now) + 1
            raise ProviderThrottled("Cloudflare blocks all calls", retry_after=wait)
        usage = _usage(item, tick)
        if tick <= usage.tick <= tick + TICKS_PER_MINUTE:
            raise self._refusal(usage, part, now)
        is_ahead, usage = usage.tick > tick, drained(usage, tick, self._shares)
        if admits(usage, self._caller, part, self._shares):
            return self._store(item, taken(usage, self._caller, part))
        if is_ahead and not self._store(item, usage):
            return False
        raise self._refusal(usage, part, now)

    def _store(self, before: RateLimitItem, usage: Usage) -> bool:
        """Store the drained bucket. Return False if another call changed the item first."""
        # Within a tick `used` only grows. A block that began in between must stay.
        is_unchanged = (
            _equals(RateLimitItem.tick, before.tick)
            & _equals(RateLimitItem.used, before.used)
            & _equals(RateLimitItem.blocked_until, before.blocked_until)
        )
        try:
            put_item(item_of(usage, self._shares), is_unchanged, otherwise=_Unwritten)
        except _Unwritten:
            return False
        return True

    def _refusal(self, usage: Usage, part: str, now: float) -> ProviderThrottled:
        count("CloudflareCallsRefused")
        ticks = ticks_until_admitted(usage, self._caller, part, self._shares)
        after = max(1, math.ceil((usage.tick + ticks) * TICK_SECONDS - now))
        if self._tenant() is None or is_full(usage, self._caller, self._shares):
            return ProviderThrottled("the rate limit of calls to Cloudflare is reached", retry_after=after)
        return TenantThrottled("this tenant has used its share of the calls to Cloudflare", retry_after=after)

    def block(self, seconds: int) -> None:
        until = self._clock() + seconds
        blocked = RateLimitItem.blocked_until
        try:
            update_item(
                RateLimitItem(*KEY),
                [blocked.set(until)],
                blocked.does_not_exist() | (blocked < until),
                otherwise=_Unwritten,
            )
        except _Unwritten:
            # A longer block stands, or this very write did it and its response was lost.
            return


def part_of(tenant: str) -> str:
    """Return the name of a tenant's part of the bucket: a hash, which keeps the item small."""
    return urlsafe_b64encode(sha256(tenant.encode("utf-8", "replace")).digest())[:8].decode()


def item_of(usage: Usage, shares: Shares) -> RateLimitItem:
    """Return the item that holds the bucket, and what it allows each caller."""
    item = RateLimitItem(*KEY, tick=usage.tick, used=usage.used, parts=usage.parts, stops=usage.stops)
    for caller in CALLERS:
        setattr(item, f"allowed_{caller}", allowed(usage, caller, shares))
    return item


def _equals(attribute: Attribute[int] | Attribute[float], value: float | None) -> Condition:
    return attribute.does_not_exist() if value is None else attribute == value


def _usage(item: RateLimitItem, tick: int) -> Usage:
    """Return the bucket that an item holds.

    An item without a tick is new, or holds the calls of a minute that a release before the first one counted.
    """
    if item.tick is not None:
        return Usage(item.tick, dict(item.parts or {}), dict(item.stops or {}))
    if item.period == tick // TICKS_PER_MINUTE and item.calls is not None:
        return Usage(tick - 1, {EARLIER: item.calls * CALL})
    return Usage(tick - 1)
