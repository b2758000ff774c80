"""The cost of a month: computed from committed tables and prices, and held against an example computed by hand."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tools.bench.cost import machines, month
from tools.bench.cost.measured import ROOT, Measured, Row
from tools.bench.cost.month import CALL_PRICES, GROUPS, OTHERWISE_PAID, RECORDING, Call, of_calls, of_month
from tools.bench.cost.prices import Price, read_prices
from tools.bench.cost.profiles import CALLS, COPIED_MEETINGS, LECTURES, MEETINGS, PROFILES, Profile
from tools.bench.cost.quotas import PEAK, Quota, quotas
from tools.bench.cost.report import BEGIN, END, SCALES, NoPlace, blocks, outdated, placed

MEASURED = Measured.committed()
PRICES = read_prices()


def total(profile: Profile, recordings: float) -> float:
    return sum(month.costs(PRICES, of_month(MEASURED, profile, recordings)).values())


# ---------------------------------------------------------------- documents


def test_the_documents_show_what_the_command_computes() -> None:
    assert outdated(blocks(PRICES, MEASURED)) == [], "python -m tools.bench.cost --write writes them"


def test_a_table_replaces_the_one_in_its_place_and_nothing_else() -> None:
    begin, end = BEGIN.format("x"), END.format("x")
    assert placed(f"before\n{begin}\nold\n{end}\nafter", "x", "new") == f"before\n{begin}\n\nnew\n\n{end}\nafter"
    with pytest.raises(NoPlace, match="x: end"):
        placed(begin, "x", "new")


# ---------------------------------------------------------------- prices


def test_every_price_is_used_and_every_use_has_a_price() -> None:
    used: Counter[str] = Counter()
    for profile in PROFILES:
        used.update({name: 1 for name, amount in of_month(MEASURED, profile, 1000).items() if amount})
    assert set(used) == set(PRICES)
    assert sorted([*(name for names in GROUPS.values() for name in names), RECORDING]) == sorted(PRICES)


@pytest.mark.parametrize("name", PRICES)
def test_a_price_has_a_page_and_the_day_on_which_it_was_read(name: str) -> None:
    price = PRICES[name]
    assert price.usd > 0
    assert price.per >= 1
    assert price.page.startswith("https://")
    assert price.read == "unconfirmed" or len(price.read) == len("2026-11-26")


def test_every_call_of_a_function_has_a_price_or_a_reason_for_none() -> None:
    assert {call for call in MEASURED.calls() if not call.startswith(OTHERWISE_PAID)} <= CALL_PRICES.keys()
    assert {price for price in CALL_PRICES.values() if price} <= PRICES.keys()


# ---------------------------------------------------------------- amounts


def table(**row: Any) -> Measured:
    """What one function costs, with two milliseconds of its own work at a whole processor."""
    found = {"read_units": 3, "write_units": 5, "trips": 2, "calls": {"dynamodb.GetItem": 2}} | row
    figures = "function      case   read  CPU  other calls\nCopySegment   x         3  0.8  \n```\n"
    return Measured({"CopySegment": {"x": found}, "Stored": {"a recording": {"bytes": 2048}}}, figures)


def test_a_call_costs_its_units_its_time_and_its_operations() -> None:
    measured = table(calls={"dynamodb.GetItem": 1, "r2.PutObject": 1, "s3.HeadObject": 2})
    used = of_calls(measured, iter([Call(measured.row("CopySegment", "x"), 10, is_request=True, seconds=4)]))
    # Of 1 GB, which is 1,024 of 1,769 MB: 0.8 * 2.5 ms of work; two trips of a mean of (6 + 60 + 2 * 40) / 4 ms.
    seconds = 0.8 * 2.5e-3 * 1769 / 1024 + 2 * 36.5e-3 + 4 + 0.02 * 0.8
    assert used == {
        "lambda_requests": 10,
        "lambda_gb_seconds": pytest.approx(10 * seconds),
        "dynamodb_read_units": 30,
        "dynamodb_write_units": 50,
        "log_gb": pytest.approx(10 * 1600 / 1e9),
        "api_requests": 10,
        "r2_class_a": 10,
        "archive_reads": 20,
    }


def test_a_month_keeps_what_began_in_the_months_before() -> None:
    profile = replace(MEETINGS, archived=0.25, r2_months=2, kept_months=10, size_bytes=2**30, restored=0.0)
    used, idle = of_month(MEASURED, profile, 1000), of_month(MEASURED, profile, 0)
    # Three quarters stay in R2 for ten months, a quarter for two; then that quarter is eight months in the archive.
    assert used["r2_gb"] == pytest.approx(1000 * (0.75 * 10 + 0.25 * 2) * 2**30 / 1e9)
    assert used["archive_gb"] == pytest.approx(1000 * 0.25 * 8)
    assert used["dynamodb_storage_gb"] == pytest.approx(10_000 * MEASURED.recording_bytes / 2**30)
    assert used[RECORDING] == 30_000
    assert (idle["r2_gb"], idle["archive_gb"], idle[RECORDING]) == (0, 0, 0)


def test_only_a_copied_file_leaves_aws() -> None:
    delivered, copied = (of_month(MEASURED, one, 1000) for one in (MEETINGS, COPIED_MEETINGS))
    assert copied["traffic_gb"] - delivered["traffic_gb"] == pytest.approx(1000 * 0.5)
    # Thirty parts, the upload and its end.
    assert copied["r2_class_a"] - delivered["r2_class_a"] >= 1000 * 30


def test_a_part_more_costs_what_the_measured_sizes_differ_by() -> None:
    few, more = MEASURED.row("CopySegment", "4 parts"), MEASURED.row("CopySegment", "6 parts")
    row = MEASURED.of_parts("CopySegment", 8)
    assert row.write_units == more.write_units + (more.write_units - few.write_units)
    assert row.calls["r2.UploadPart"] == 8


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_more_recordings_cost_more_and_each_of_them_no_more(profile: Profile) -> None:
    totals = [total(profile, scale) for scale in (0, *SCALES)]
    assert totals == sorted(set(totals))
    each = [month_total / scale for month_total, scale in zip(totals[1:], SCALES, strict=True)]
    assert each == sorted(each, reverse=True)


@pytest.mark.parametrize(
    "more",
    [
        {"size_bytes": 600_000_000},
        {"gets": 5},
        {"lists": 6},
        {"downloads": 3},
        {"restored": 0.02},
        {"kept_months": 13},
        {"delivered": False},
    ],
    ids=lambda more: " ".join(more),
)
def test_more_of_anything_costs_more(more: dict[str, Any]) -> None:
    assert total(replace(MEETINGS, **more), 1000) > total(MEETINGS, 1000)


def test_a_price_is_of_so_many_units() -> None:
    assert Price(usd=4.5, per=1_000_000, unit="", page="", read="").of(2_000_000) == 9


# ---------------------------------------------------------------- transitions


def test_transitions_are_the_states_that_an_execution_enters() -> None:
    # Initialize, CheckUpload, IsUploaded, both again, PlanTransfer, CopySegments, CompleteTransfer, IsVerified,
    # VerifyTransfer, MarkReady, Done; and CopySegment for each segment.
    assert machines.of_processing(1) == 12 + 1
    assert machines.of_processing(24) == 12 + 24
    # Initialize, BeginArchive, IsMoveDecided, PlanArchive, HasFileMoved, CopySegments, CompleteArchive, IsVerified,
    # FinishArchive, Done.
    assert machines.of_archiving(2) == 10 + 2
    # BeginSync, HasLease, ScanProviderRecordings, ReconcileBatches, HasMorePages, EndSync, Done.
    assert machines.of_idle_sync() == 7


def test_a_choice_that_leads_elsewhere_is_an_error() -> None:
    with pytest.raises(ValueError, match="HasLease does not lead to EndSync"):
        machines.transitions(machines.definition_of("sync"), chosen={"HasLease": ["EndSync"]}, items={})


# ---------------------------------------------------------------- quotas


def test_a_quota_is_met_when_the_busiest_minute_needs_it() -> None:
    quota = Quota(name="x", limit=100, unit="a second", each=5, ask="more")
    # 20 recordings a second in the busiest minute are two on average.
    assert quota.recordings == 100 / 5 / PEAK * 30 * 24 * 3600
    assert quota.share(quota.recordings / 2) == 0.5


def test_calls_to_cloudflare_are_the_first_quota_of_every_profile() -> None:
    for profile in (MEETINGS, COPIED_MEETINGS, CALLS):
        first, second = quotas(MEASURED, profile)[:2]
        assert first.name == "calls to Cloudflare's API"
        assert first.recordings < second.recordings
    # Lectures are listed so often that the throttle of a route comes soon after.
    assert quotas(MEASURED, LECTURES)[0].recordings < 1_000_000


def test_the_limits_of_services_are_those_of_the_documentation() -> None:
    documented = (ROOT / "docs/limits.md").read_text()
    for quota in quotas(MEASURED, MEETINGS):
        if not quota.name.startswith(("our throttle", "calls to Cloudflare")):
            assert f"{quota.limit:,.0f}" in documented, quota.name


def test_a_row_without_calls_waits_for_nothing() -> None:
    assert Row("GetRoom", trips=1).waiting_ms == 0
