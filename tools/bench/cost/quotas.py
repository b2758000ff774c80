"""Which limit is met at how many recordings a month, and what to ask for then. docs/limits.md explains each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tools.bench.cost import machines
from tools.bench.cost.measured import Measured
from tools.bench.cost.month import LIST_PAGE, LISTINGS, SECONDS_OF_MONTH, Call, calls, of_recording, segments_of
from tools.bench.cost.profiles import Profile

# Meetings begin at full hours of working days: in the busiest minute so many times the month's average.
PEAK: Final = 10
# A change of the status adds to the counters of its tenant's year, month and day: two write units each.
COUNTER_UNITS: Final = 2
CHANGES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """`limit` is what is allowed at a time, or in a second; `each` is what one recording needs of it in a second."""

    name: str
    limit: float
    unit: str
    each: float
    ask: str

    @property
    def recordings(self) -> float:
        """So many recordings a month meet the limit in the busiest minute."""
        return self.limit / self.each / PEAK * SECONDS_OF_MONTH

    def share(self, recordings: float) -> float:
        """Return the share of the limit that so many recordings a month need in the busiest minute."""
        return recordings / self.recordings


def quotas(measured: Measured, profile: Profile) -> Sequence[Quota]:
    """Return the limits, the one that is met first at the beginning."""
    return sorted(_quotas(measured, profile), key=lambda quota: quota.recordings)


def _quotas(measured: Measured, profile: Profile) -> Iterator[Quota]:
    some, used = [*calls(measured, profile)], of_recording(measured, profile)
    to_cloudflare = cloudflare_calls(some) + LISTINGS / LIST_PAGE
    requests = {call.row.function: 0.0 for call in some if call.is_request}
    for call in some:
        if call.is_request:
            requests[call.row.function] += call.times
    webhooks = requests.pop("ReceiveWebhook")
    yield Quota(
        name="calls to Cloudflare's API",
        limit=measured.default("CloudflareCallsPerMinute") / 60,
        unit="a second",
        each=to_cloudflare,
        ask="a higher limit of Cloudflare for the token (1,200 in five minutes), then `CloudflareCallsPerMinute`",
    )
    yield Quota(
        name="our throttle of a route",
        limit=measured.default("ApiRequestsPerSecond"),
        unit="a second",
        each=max(requests.values()),
        ask="`ApiRequestsPerSecond` and `ApiBurstRequests`",
    )
    yield Quota(
        name="our throttle of webhooks",
        limit=measured.default("WebhookRequestsPerSecond"),
        unit="a second",
        each=webhooks,
        ask="`WebhookRequestsPerSecond` and `WebhookBurstRequests`",
    )
    yield Quota(
        name="API Gateway: requests",
        limit=10_000,
        unit="a second",
        each=sum(requests.values()) + webhooks,
        ask="a higher throttle of the account",
    )
    yield Quota(
        name="Lambda: concurrent executions",
        limit=1000,
        unit="at a time",
        each=sum(call.times * (measured.seconds(call.row) + call.seconds) for call in some),
        ask="more concurrent executions; `CopyConcurrency` keeps copies from taking all",
    )
    yield Quota(
        name="Step Functions: StartExecution",
        limit=300,
        unit="a second",
        each=1 + profile.archived,
        ask="a higher rate of StartExecution",
    )
    segments = segments_of(profile)
    yield Quota(
        name="Step Functions: transitions",
        limit=5000,
        unit="a second",
        each=machines.of_processing(segments) + profile.archived * machines.of_archiving(segments),
        ask="a higher rate of StateTransition",
    )
    yield Quota(
        name="DynamoDB: one counter, without spreading",
        limit=1000,
        unit="write units a second",
        each=CHANGES * COUNTER_UNITS,
        ask="nothing: counters of a busy tenant spread over up to 64 items by themselves",
    )
    yield Quota(
        name="DynamoDB: write units of the table",
        limit=40_000,
        unit="a second",
        each=used["dynamodb_write_units"],
        ask="more write units for the table, and warm throughput before it is needed",
    )
    yield Quota(
        name="DynamoDB: read units of the table",
        limit=40_000,
        unit="a second",
        each=used["dynamodb_read_units"],
        ask="more read units for the table",
    )
    yield Quota(
        name="EventBridge: PutEvents",
        limit=10_000,
        unit="a second",
        each=used["events"],
        ask="a higher rate of PutEvents",
    )


def cloudflare_calls(some: Sequence[Call]) -> float:
    """Return how many calls to Cloudflare's API these are. Fetching a file and a public key are none."""
    return sum(
        call.times * times
        for call in some
        for name, times in call.row.calls.items()
        if name.startswith("cloudflare.") and name not in ("cloudflare.media", "cloudflare.key")
    )
