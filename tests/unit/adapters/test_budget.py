"""The budget of calls to Cloudflare in moto's table: never exceeded, whoever calls."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.stub import Stubber

from recordings.adapters import budget, dynamo
from recordings.adapters.budget import KEY, PERIOD_SECONDS, CallBudget
from recordings.domain.errors import ProviderThrottled, Throttled
from tests.support.fakes import Atomic
from tests.support.table import a_table
from tests.support.template import template

APPS = sorted(Path("functions").glob("*/*/app.py"))
KINDS = {path.parent.name: path.parent.parent.name for path in APPS}
SWEEPS = {"scan_captures", "reconcile_batch", "audit_storage"}
CALLS, RUN_CALLS, SWEEP_CALLS = 50, 40, 30


class Time:
    """Stands in the middle of a period until it is moved."""

    def __init__(self) -> None:
        self.now = 60.0 * 1_000_000 + 15

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(budget, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLOUDFLARE_CALLS_PER_MINUTE", str(CALLS))
    with a_table():
        yield


def spent() -> dict[str, dict[str, str]]:
    item: dict[str, dict[str, str]] = dynamo.client.get_item(TableName=dynamo.TABLE, Key=KEY).get("Item", {})  # type: ignore[assignment,arg-type]
    return item


def spend(number: int, one: CallBudget) -> int:
    """How many of so many calls were allowed."""
    allowed = 0
    for _ in range(number):
        try:
            one.spend()
            allowed += 1
        except ProviderThrottled:
            pass
    return allowed


def test_a_period_has_so_many_calls_and_tells_when_the_next_begins(clock: Time) -> None:
    assert spend(CALLS, CallBudget()) == CALLS
    with pytest.raises(ProviderThrottled) as told:
        CallBudget().spend()
    assert told.value.retry_after == 46
    assert spent()["calls"] == {"N": str(CALLS)}


def test_by_default_the_limit_lies_below_cloudflares() -> None:
    calls = template()["Parameters"]["CloudflareCallsPerMinute"]["Default"]
    # A window of five minutes may touch six periods; Cloudflare allows 1,200 calls in it.
    assert int(calls) * (300 / PERIOD_SECONDS + 1) <= 1200


def test_the_sweep_leaves_a_share_to_people(clock: Time) -> None:
    assert spend(CALLS, CallBudget("sweep")) == SWEEP_CALLS
    assert spend(CALLS, CallBudget()) == CALLS - SWEEP_CALLS
    assert spend(1, CallBudget("sweep")) == 0


def test_webhooks_and_runs_leave_a_share_to_people_too(clock: Time) -> None:
    assert spend(CALLS, CallBudget("sweep")) == SWEEP_CALLS
    assert spend(CALLS, CallBudget("runs")) == RUN_CALLS - SWEEP_CALLS
    assert spend(CALLS, CallBudget()) == CALLS - RUN_CALLS


def test_only_who_answers_a_person_takes_all_of_it() -> None:
    takes = {path.parent.name: re.search(r"CallBudget\((.*?)\)", path.read_text()) for path in APPS}
    for name, found in takes.items():
        if found is not None:
            wanted = {"api": ""}.get(KINDS[name], '"sweep"' if name in SWEEPS else '"runs"')
            assert found[1] == wanted, name


def test_people_who_spent_more_than_the_sweeps_share_leave_it_none(clock: Time) -> None:
    assert spend(SWEEP_CALLS, CallBudget()) == SWEEP_CALLS
    assert spend(1, CallBudget("sweep")) == 0
    assert spend(1, CallBudget()) == 1


def test_a_new_period_is_a_new_budget(clock: Time) -> None:
    assert spend(CALLS + 1, CallBudget()) == CALLS
    clock.now += 44.9
    assert spend(1, CallBudget()) == 0
    clock.now += 0.1
    assert spend(CALLS + 1, CallBudget()) == CALLS
    clock.now += 10 * PERIOD_SECONDS
    assert spend(1, CallBudget("sweep")) == 1
    assert spent()["calls"] == {"N": "1"}


def test_a_clock_that_is_late_spends_nothing_of_a_period_that_is_over(clock: Time) -> None:
    clock.now += PERIOD_SECONDS
    assert spend(1, CallBudget()) == 1
    clock.now -= PERIOD_SECONDS
    with pytest.raises(ProviderThrottled) as told:
        CallBudget().spend()
    assert told.value.retry_after > 0
    assert spent()["calls"] == {"N": "1"}


@pytest.mark.parametrize("spent_before", [0, 1])
def test_a_block_lets_nobody_call_until_it_ends(clock: Time, spent_before: int) -> None:
    assert spend(spent_before, CallBudget()) == spent_before
    CallBudget().block(300)
    for one in (CallBudget(), CallBudget("sweep")):
        with pytest.raises(ProviderThrottled) as told:
            one.spend()
        assert told.value.retry_after == 301
    clock.now += 299
    assert spend(1, CallBudget()) == 0
    clock.now += 1
    assert spend(CALLS + 1, CallBudget()) == CALLS


def test_a_block_within_a_period_leaves_what_was_spent(clock: Time) -> None:
    assert spend(20, CallBudget()) == 20
    CallBudget().block(5)
    clock.now += 5
    assert spend(CALLS, CallBudget()) == CALLS - 20


def test_a_block_is_not_shortened_by_a_shorter_one(clock: Time) -> None:
    CallBudget().block(300)
    CallBudget().block(5)
    clock.now += 299
    assert spend(1, CallBudget()) == 0
    clock.now += 1
    assert spend(1, CallBudget()) == 1


def test_thirty_two_at_the_same_moment_never_spend_more(clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "client", Atomic(dynamo.client))
    each = CALLS // 32 + 2
    allowed: list[int] = []
    barrier = threading.Barrier(32)

    def go(one: CallBudget) -> None:
        barrier.wait()
        allowed.append(spend(each, one))

    threads = [threading.Thread(target=go, args=(CallBudget("sweep" if n % 2 else "people"),)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 32
    assert sum(allowed) <= CALLS
    assert spent()["calls"] == {"N": str(sum(allowed))}
    assert spend(CALLS, CallBudget()) == CALLS - sum(allowed)


def refusal(item: dict[str, dict[str, str]] | None = None) -> dict[str, object]:
    return {
        "service_error_code": "ConditionalCheckFailedException",
        "http_status_code": 400,
        "modeled_fields": {"Item": item} if item else {},
    }


def test_a_budget_that_is_fought_over_asks_to_come_again(clock: Time) -> None:
    with Stubber(dynamo.client) as stub:
        for _ in range(2 * budget.TRIES):
            stub.add_client_error("update_item", **refusal())  # type: ignore[arg-type]
        with pytest.raises(Throttled) as told:
            CallBudget().spend()
        assert told.value.retry_after == 1


def test_a_fault_of_the_table_is_told(clock: Time) -> None:
    with Stubber(dynamo.client) as stub:
        stub.add_client_error("update_item", service_error_code="InternalServerError", http_status_code=500)
        with pytest.raises(Throttled):
            CallBudget().spend()
