"""The budget of calls to Cloudflare: one for the whole deployment, shared fairly between tenants.

Cloudflare allows 1,200 calls in five minutes for each token and blocks every call for five minutes after a breach
(fundamentals/api/reference/limits). The budget is a leaky bucket of CLOUDFLARE_CALLS_PER_MINUTE calls that drains once
in a minute (domain.fair_share): five minutes hold six times as many at most, by default 1,140. The rest is room for the
dashboard, which shares the limit. Every call that is sent is counted, repeats after a fault too.

The bucket is one item of the table. A call is one conditional write; the first call of a tick, five seconds, takes a
second one, which drains the bucket. For each tenant with calls in it the item holds some 14 bytes, and at most twice as
many tenants as the bucket has calls.
"""

import math
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NoReturn

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

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
# The parts of calls that are no tenant's. Shorter or longer than a hash, so none of them is a tenant's.
NOBODY: Final[Mapping[Caller, str]] = {"stop": "other", "people": "other", "runs": "webhook", "sweep": "sync"}
# Calls that an earlier version counted, minute by minute.
EARLIER: Final = "earlier"
TRIES: Final = 5


class _Unwritten(Exception):
    """The condition of a write does not hold; `held` is the item as it is."""

    def __init__(self, held: RateLimitItem | None) -> None:
        super().__init__()
        self.held = held or RateLimitItem(*KEY)


def _shares() -> Shares:
    return Shares(
        calls_per_minute=int(os.environ["CLOUDFLARE_CALLS_PER_MINUTE"]),
        stop_reserve_percent=int(os.environ["CLOUDFLARE_STOP_RESERVE_PERCENT"]),
        tenant_percent=int(os.environ["CLOUDFLARE_TENANT_SHARE_PERCENT"]),
        workflow_percent=int(os.environ["CLOUDFLARE_WORKFLOW_SHARE_PERCENT"]),
        sync_percent=int(os.environ["CLOUDFLARE_SYNC_SHARE_PERCENT"]),
    )


class DynamoRateLimiter:
    """Implements realtimekit.Budget.

    A call counts for the tenant of the request or task that runs (request_context). The sync's calls, and those of
    webhooks, are nobody's: they have a part of their own, as a tenant has.
    """

    def __init__(self, caller: Caller = "people") -> None:
        self._caller = caller
        self._shares = _shares()

    def acquire(self) -> None:
        """Take one call out of the budget.

        Raises:
            TenantThrottled: this tenant has taken its share
            ProviderThrottled: there is no call left for this caller, or Cloudflare blocks
            Throttled: too many calls at the same moment
        """
        tenant = self._tenant()
        part = NOBODY[self._caller] if tenant is None else part_of(tenant)
        for _ in range(TRIES):
            now = time.time()
            tick = int(now // TICK_SECONDS)
            item = self._take(part, now, tick)
            if item is None:
                count("CloudflareCalls")
                return
            blocked = item.blocked_until or 0
            if blocked > now:
                raise ProviderThrottled("Cloudflare limits the rate of calls", retry_after=int(blocked - now) + 1)
            usage = _usage(item, tick)
            if not tick <= usage.tick <= tick + TICKS_PER_MINUTE:
                ahead, usage = usage.tick > tick, drained(usage, tick, self._shares)
                admitted = admits(usage, self._caller, part, self._shares)
                if admitted or ahead:
                    turned = self._turn(item, taken(usage, self._caller, part) if admitted else usage)
                    if turned and admitted:
                        count("CloudflareCalls")
                        return
                    if not turned:
                        continue
            self._refuse(usage, part, now)
        raise Throttled("the budget of calls is contended; try again in a moment", retry_after=1)

    def _tenant(self) -> str | None:
        return None if self._caller == "sweep" else current_tenant()

    def _take(self, part: str, now: float, tick: int) -> RateLimitItem | None:
        """Count a call if the bucket is of this tick and admits it; give None when that was done, else the item.

        A write whose response was lost is repeated by botocore, and then counts twice: rather that than not at all.
        """
        counted = "stops" if self._caller == "stop" else "parts"
        mine = Path([f"allowed_{self._caller}"])
        less = self._shares.allowance(CALL)
        actions: list[Action] = [RateLimitItem.used.set(RateLimitItem.used + CALL)]
        actions += [Path([f"allowed_{caller}"]).set(Path([f"allowed_{caller}"]) - less) for caller in CALLERS]
        actions += [Path([of, part]).set((Path([of, part]) | 0) + CALL) for of in sorted({"parts", counted})]
        own = Path([counted, part])
        # A clock that is late takes from the bucket as it is; one that was far ahead must not stop the drain.
        condition = (
            RateLimitItem.tick.between(tick, tick + TICKS_PER_MINUTE)
            & (mine >= less)
            & (own.does_not_exist() | (own < mine))
            & (RateLimitItem.blocked_until.does_not_exist() | (RateLimitItem.blocked_until <= now))
        )
        try:
            update_item(RateLimitItem(*KEY), actions, condition, otherwise=_Unwritten)
        except _Unwritten as unwritten:
            return unwritten.held
        return None

    def _turn(self, seen: RateLimitItem, usage: Usage) -> bool:
        """Store the bucket as drained, unless it changed since it was seen; give whether that was done."""
        # Within a tick `used` only grows. A block that came meanwhile must stay.
        unchanged = (
            _is(RateLimitItem.tick, seen.tick)
            & _is(RateLimitItem.used, seen.used)
            & _is(RateLimitItem.blocked_until, seen.blocked_until)
        )
        try:
            put_item(item_of(usage, self._shares), unchanged, otherwise=_Unwritten)
        except _Unwritten:
            return False
        return True

    def _refuse(self, usage: Usage, part: str, now: float) -> NoReturn:
        count("CloudflareCallsRefused")
        ticks = ticks_until_admitted(usage, self._caller, part, self._shares)
        after = max(1, math.ceil((usage.tick + ticks) * TICK_SECONDS - now))
        if self._tenant() is None or is_full(usage, self._caller, self._shares):
            raise ProviderThrottled("the budget of calls to Cloudflare is spent", retry_after=after)
        raise TenantThrottled("this tenant has used its share of the calls to Cloudflare", retry_after=after)

    def block(self, seconds: int) -> None:
        """Let nobody call for so long: Cloudflare said so. A longer block that stands is not shortened."""
        until = time.time() + seconds
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
    """The name of a tenant's part of the bucket: a hash, which keeps the item small."""
    return urlsafe_b64encode(sha256(tenant.encode("utf-8", "replace")).digest())[:8].decode()


def item_of(usage: Usage, shares: Shares) -> RateLimitItem:
    """The item that holds the bucket, and what it allows each caller."""
    item = RateLimitItem(*KEY, tick=usage.tick, used=usage.used, parts=usage.parts, stops=usage.stops)
    for caller in CALLERS:
        setattr(item, f"allowed_{caller}", allowed(usage, caller, shares))
    return item


def _is(attribute: Attribute[int] | Attribute[float], value: float | None) -> Condition:
    return attribute.does_not_exist() if value is None else attribute == value


def _usage(item: RateLimitItem, tick: int) -> Usage:
    """The bucket that an item holds.

    One without a tick is new, or holds what an earlier version counted in a minute.
    """
    if item.tick is not None:
        return Usage(item.tick, dict(item.parts or {}), dict(item.stops or {}))
    if item.period == tick // TICKS_PER_MINUTE and item.calls is not None:
        return Usage(tick - 1, {EARLIER: item.calls * CALL})
    return Usage(tick - 1)
