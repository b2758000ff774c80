"""The rate limit of calls to Cloudflare in moto's table: never exceeded, and shared fairly."""

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.queries import item_key
from recordings.adapters.dynamodb.rate_limit import KEY, MAX_ATTEMPTS, DynamoRateLimiter
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.errors import ProviderThrottled, TenantThrottled, Throttled
from recordings.domain.fair_share import TICK_SECONDS, Caller
from recordings.observability import metrics
from recordings.request_context import request_context
from tests.support.functions import handler_of
from tests.support.table import a_table, atomic, interrupted, recorded
from tests.support.template import ROOT, template
from tools.bench.units import item_size

FOLDERS = sorted(str(path.parent.relative_to(ROOT / "functions")) for path in ROOT.glob("functions/*/*/app.py"))
# The others answer a person, or belong to a recording's workflow.
CALLERS: dict[str, Caller] = {
    "api/stop_recording": "stop",
    "trigger/audit_storage": "background",
    "workflow/reconcile_batch": "background",
    "workflow/scan_provider_recordings": "background",
}
CALLS = 60
# What one caller, alone, may have at once: half of its limit. Then it has what drains: a twelfth in each tick.
PEOPLE_CALLS, RUN_CALLS, SWEEP_CALLS, STOP_CALLS, TICK_CALLS = 27, 24, 18, 30, 5


class Time:
    """A clock that stands in the middle of a tick until a test moves it."""

    def __init__(self) -> None:
        self.now = 60.0 * 1_000_000 + 2

    def time(self) -> float:
        return self.now


CLOCK = Time()


@pytest.fixture
def clock() -> Time:
    CLOCK.now = Time().now
    return CLOCK


def limiter(caller: Caller = "interactive") -> DynamoRateLimiter:
    return DynamoRateLimiter(caller, clock=CLOCK.time)


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLOUDFLARE_CALLS_PER_MINUTE", str(CALLS))
    with a_table():
        yield


def spent() -> Any:
    item = client.get_item(TableName=TABLE, Key=item_key(*KEY)).get("Item", {})
    return item


def used() -> float:
    return int(spent()["used"]["N"]) / 1000


def acquire(number: int, caller: Caller = "interactive", tenant: str | None = "acme") -> int:
    """Make calls until one is refused. Return how many were admitted."""
    one = limiter(caller)
    with request_context(tenant_id=tenant):
        for allowed in range(number):
            try:
                one.acquire()
            except ProviderThrottled:
                return allowed
    return number


def refused(caller: Caller = "interactive", tenant: str | None = "acme") -> ProviderThrottled:
    with request_context(tenant_id=tenant), pytest.raises(ProviderThrottled) as reported:
        limiter(caller).acquire()
    return reported.value


def test_many_tenants_use_the_whole_interactive_share_and_stops_the_rest(clock: Time) -> None:
    assert sum(acquire(10, tenant=f"tenant-{n}") for n in range(20)) == 54
    reported = refused(tenant="another")
    assert (type(reported), reported.code, reported.retry_after) == (ProviderThrottled, "provider_throttled", 3)
    assert sum(acquire(1, "stop", f"tenant-{n}") for n in range(20)) == 6
    assert refused("stop", "another").code == "provider_throttled"
    assert used() == CALLS


def test_the_default_limit_is_below_cloudflares() -> None:
    calls = template()["Parameters"]["CloudflareCallsPerMinute"]["Default"]
    # A full bucket, and what drains from it in five minutes, in which Cloudflare allows 1,200 calls.
    assert int(calls) * (300 / 60 + 1) <= 1200


def test_a_tenant_alone_has_half_of_it_at_once_and_then_all_that_drains(clock: Time) -> None:
    assert acquire(CALLS) == PEOPLE_CALLS
    reported = refused()
    assert (type(reported), reported.code, reported.retry_after) == (TenantThrottled, "tenant_throttled", 3)
    for _ in range(12):
        clock.now += TICK_SECONDS
        assert TICK_CALLS - 1 <= acquire(CALLS) <= TICK_CALLS
    clock.now += 60
    assert acquire(CALLS) == PEOPLE_CALLS


def test_one_tenant_leaves_a_share_to_tenants_that_call_later(clock: Time) -> None:
    for _ in range(20):
        acquire(CALLS)
        clock.now += 1.5
    assert sum(acquire(2, tenant=f"tenant-{n}") for n in range(10)) == 20
    assert acquire(1) == 0


@pytest.mark.parametrize(
    ("caller", "tenant", "calls"),
    [
        pytest.param("stop", "acme", STOP_CALLS, id="stops"),
        pytest.param("workflow", "acme", RUN_CALLS, id="workflows"),
        pytest.param("workflow", None, RUN_CALLS, id="webhooks"),
        pytest.param("background", None, SWEEP_CALLS, id="sync"),
        pytest.param("background", "acme", SWEEP_CALLS, id="sync of a tenant"),
    ],
)
def test_workflows_and_the_sync_leave_a_share_to_interactive_calls(
    clock: Time, caller: Caller, tenant: str | None, calls: int
) -> None:
    assert acquire(CALLS, caller, tenant) == calls
    assert acquire(10, tenant="another") == 10
    assert acquire(1, "stop", "another") == 1
    clock.now += 60
    assert acquire(1, caller, tenant) == 1


@pytest.mark.parametrize(("caller", "tenant"), [("workflow", None), ("background", None), ("background", "acme")])
def test_calls_of_no_tenant_are_refused_on_no_tenants_account(clock: Time, caller: Caller, tenant: str | None) -> None:
    acquire(CALLS, caller, tenant)
    assert refused(caller, tenant).code == "provider_throttled"
    assert acquire(CALLS, tenant="acme") > 10


def test_webhooks_take_nothing_from_a_tenants_workflows(clock: Time) -> None:
    assert acquire(CALLS, "workflow", None) == RUN_CALLS
    assert acquire(10, "workflow", "acme") == 10


def test_the_workflows_of_one_tenant_leave_a_share_to_anothers(clock: Time) -> None:
    assert acquire(CALLS, "workflow", "acme") == RUN_CALLS
    assert refused("workflow").code == "tenant_throttled"
    assert acquire(10, "workflow", "another") == 10


def test_a_tenant_that_has_used_its_share_can_still_stop_its_recordings(clock: Time) -> None:
    acquire(CALLS)
    assert refused().code == "tenant_throttled"
    assert acquire(10, "stop") == 10


def test_a_tenant_that_stops_much_leaves_stops_to_others(clock: Time) -> None:
    acquire(CALLS)
    acquire(CALLS, "stop")
    assert refused("stop").code == "tenant_throttled"
    assert sum(acquire(1, "stop", f"tenant-{n}") for n in range(10)) == 10


def limiters() -> list[DynamoRateLimiter]:
    return [one for one in gc.get_objects() if type(one) is DynamoRateLimiter]


def test_every_function_takes_the_share_of_its_kind() -> None:
    calling, before = 0, limiters()
    for folder in FOLDERS:
        handler, after = handler_of(folder), limiters()
        callers = {one.caller for one in after if all(one is not other for other in before)}
        before = after
        calling += bool(callers)
        wanted = CALLERS.get(folder) or ("interactive" if folder.startswith("api/") else "workflow")
        assert callers <= {wanted}, (folder, handler)
    assert calling > 10


@pytest.mark.parametrize(
    ("caller", "tenants"),
    [
        pytest.param("interactive", 1, id="of a tenant's share"),
        pytest.param("workflow", 3, id="of the workflows' share"),
        pytest.param("interactive", 25, id="of all interactive calls"),
        pytest.param("stop", 1, id="of a tenant's stops"),
        pytest.param("stop", 25, id="of the whole limit"),
    ],
)
def test_a_retry_after_is_true(clock: Time, tenants: int, caller: Caller) -> None:
    for n in range(tenants):
        acquire(CALLS, caller, f"tenant-{n}")
    reported = refused(caller, "tenant-0")
    clock.now += reported.retry_after - 1
    assert acquire(1, caller, "tenant-0") == 0
    clock.now += 1
    assert acquire(1, caller, "tenant-0") == 1


def test_an_admitted_call_is_one_write(clock: Time) -> None:
    acquire(1)
    with recorded() as sent:
        assert acquire(5) + acquire(5, tenant="another") + acquire(5, "stop") == 15
        assert sent == ["UpdateItem"] * 15
        clock.now += TICK_SECONDS
        assert acquire(1) == 1
    assert sent[15:] == ["UpdateItem", "PutItem"]


def test_a_tenant_costs_the_item_a_few_bytes(clock: Time) -> None:
    for n in range(54):
        assert acquire(1, tenant=f"tenant {n} with a name of a hundred characters".ljust(100)) == 1
    clock.now += TICK_SECONDS
    assert acquire(1) == 1
    # After the drain every part has a fraction, which takes the most bytes.
    assert item_size(spent()) < 150 + 55 * 14


def test_a_late_clock_takes_from_the_bucket_as_it_is(clock: Time) -> None:
    clock.now += 4 * TICK_SECONDS
    assert acquire(20) == 20
    clock.now -= 3 * TICK_SECONDS
    assert acquire(CALLS) == PEOPLE_CALLS - 20
    assert refused().retry_after > 3 * TICK_SECONDS
    clock.now += 3 * TICK_SECONDS
    assert used() == PEOPLE_CALLS


@pytest.mark.parametrize("calls", [1, CALLS])
def test_a_clock_that_was_far_ahead_does_not_stop_the_drain(clock: Time, calls: int) -> None:
    clock.now += 3600
    before = acquire(calls)
    clock.now -= 3600
    assert acquire(CALLS) == PEOPLE_CALLS - before
    clock.now += TICK_SECONDS
    assert acquire(CALLS) == TICK_CALLS


@pytest.mark.parametrize("spent_before", [0, 1])
def test_a_block_refuses_every_call_until_it_ends(clock: Time, spent_before: int) -> None:
    assert acquire(spent_before) == spent_before
    limiter().block(300)
    for caller in ("interactive", "background", "stop"):
        reported = refused(caller)
        assert (reported.code, reported.retry_after) == ("provider_throttled", 301)
    clock.now += 299
    assert acquire(1) == 0
    clock.now += 1
    assert acquire(CALLS) == PEOPLE_CALLS


def test_a_block_keeps_the_calls_that_were_counted(clock: Time) -> None:
    assert acquire(20) == 20
    limiter().block(2)
    clock.now += 2
    assert acquire(CALLS) == PEOPLE_CALLS - 20


def test_a_block_is_not_shortened_by_a_shorter_one(clock: Time) -> None:
    limiter().block(300)
    limiter().block(5)
    clock.now += 299
    assert acquire(1) == 0
    clock.now += 1
    assert acquire(1) == 1


def test_a_block_during_the_drain_stays(clock: Time) -> None:
    acquire(1)
    clock.now += TICK_SECONDS
    with interrupted("PutItem", lambda: limiter().block(300)):
        assert refused().retry_after == 301


def test_a_call_during_the_drain_counts(clock: Time) -> None:
    acquire(PEOPLE_CALLS)
    clock.now += TICK_SECONDS
    with interrupted("PutItem", lambda: acquire(2, tenant="another")):
        assert acquire(1) == 1
    assert used() == PEOPLE_CALLS - TICK_CALLS + 3


def test_calls_that_an_earlier_version_counted_in_this_minute_count(clock: Time) -> None:
    period = int(clock.now // 60)
    for at, drained in ((period, 45 + TICK_CALLS), (period - 1, 0)):
        earlier = {"period": {"N": str(at)}, "calls": {"N": "50"}}
        client.put_item(TableName=TABLE, Item={**item_key(*KEY), **earlier})
        assert acquire(1) == 1
        assert used() == max(drained - TICK_CALLS, 0) + 1
        assert spent().keys().isdisjoint(earlier)


def test_changed_shares_apply_from_the_next_tick(clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire(CALLS)
    monkeypatch.setenv("CLOUDFLARE_TENANT_SHARE_PERCENT", "75")
    assert refused().retry_after == 3
    clock.now += TICK_SECONDS
    assert acquire(CALLS) + PEOPLE_CALLS - TICK_CALLS == int(CALLS * 0.9 * 0.75) + 1


def test_concurrent_calls_never_exceed_the_limit(clock: Time) -> None:
    # Half of the calls must drain the bucket first.
    acquire(1, tenant="before")
    clock.now += TICK_SECONDS
    allowed: list[int] = []
    barrier = threading.Barrier(32)

    def go(caller: Caller, tenant: str) -> None:
        barrier.wait()
        allowed.append(acquire(4, caller, tenant))

    callers: list[Caller] = ["interactive", "background", "workflow", "stop"]
    threads = [threading.Thread(target=go, args=(callers[n % 4], f"tenant-{n}")) for n in range(32)]
    with atomic():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(allowed) == 32
    assert used() == sum(allowed) <= CALLS
    assert used() > CALLS * 0.8


def refusal(item: dict[str, dict[str, str]] | None = None) -> dict[str, object]:
    return {
        "service_error_code": "ConditionalCheckFailedException",
        "http_status_code": 400,
        "modeled_fields": {"Item": item} if item else {},
    }


def test_a_contended_bucket_is_throttled(clock: Time) -> None:
    with Stubber(client) as stub:
        for _ in range(MAX_ATTEMPTS):
            stub.add_client_error("update_item", **refusal())  # type: ignore[arg-type]
            stub.add_client_error("put_item", **refusal())  # type: ignore[arg-type]
        with pytest.raises(Throttled) as reported:
            limiter().acquire()
        assert reported.value.retry_after == 1


def test_an_error_of_dynamodb_is_throttled(clock: Time) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("update_item", service_error_code="InternalServerError", http_status_code=500)
        with pytest.raises(Throttled):
            limiter().acquire()


def test_metrics_count_admitted_and_refused_calls(clock: Time) -> None:
    metrics.clear_metrics()
    taken = acquire(1000)
    assert metrics.metric_set["CloudflareCalls"]["Value"] == [taken]
    assert metrics.metric_set["CloudflareCallsRefused"]["Value"] == [1]
    metrics.clear_metrics()
