"""A new AWS account runs ten functions at once: what waits for its turn is late, not lost."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    a_room,
    begin_sync,
    fault,
    keys,
    make,
    outcome,
    scanned,
    tallies,
    unfinished,
    until,
)
from tools.local import stack

RECORDINGS, FUNCTIONS = 40, 10
# A second of a state machine's pauses takes a fiftieth of one: an hour's patience is over in a minute.
SCALE = 0.02
# Six tries after a throttle, as many as tasks once had.
TOO_FEW_TRIES = 6


@pytest.fixture
def api(running: dict[str, Any], tenant: str) -> Iterator[httpx.Client]:
    """A caller who is told at once that no function is free."""
    headers = {"Authorization": f"Bearer {stack.token(running, tenant)}"}
    with httpx.Client(base_url=f"{running['api_url']}/api/v1", headers=headers, timeout=MAX_WAIT_SECONDS) as client:
        yield client


@contextmanager
def few_functions(running: dict[str, Any]) -> Iterator[None]:
    """So many functions run at once as in a new account, and what is refused tries again soon."""
    before = stack.limit_concurrency(running["name"], FUNCTIONS)
    pace(running, SCALE)
    try:
        yield
    finally:
        pace(running, 1)
        stack.limit_concurrency(running["name"], before)


def pace(running: dict[str, Any], scale: float) -> None:
    settings = {"stepfunctions._SFN_WAIT_SCALE": scale}
    received = httpx.post(f"{running['endpoints']['aws']}/_ministack/config", json=settings, timeout=MAX_WAIT_SECONDS)
    assert received.json() == {"applied": settings}


def throttles(running: dict[str, Any], since: datetime) -> int:
    """How many invocations of tasks were refused, by Lambda's own metric."""
    cloudwatch = stack.client(running, "cloudwatch")
    ends = datetime.now(UTC) + timedelta(minutes=2)
    found = 0.0
    for function in ("CheckUpload", "PlanTransfer", "CopySegment", "CompleteTransfer", "VerifyTransfer", "MarkReady"):
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="Throttles", Statistics=["Sum"],
            StartTime=since, EndTime=ends, Period=60,
            Dimensions=[{"Name": "FunctionName", "Value": running["functions"][function]}],
        )["Datapoints"]  # fmt: skip
        found += sum(point["Sum"] for point in points)
    return int(found)


def waiting(running: dict[str, Any], tenant: str) -> list[dict[str, Any]]:
    """The tenant's recordings whose executions wait for the file."""
    return [row for row in scanned(running, of=tenant) if "waiting_for_upload" in json.dumps(row)]


def rows(api: httpx.Client) -> list[dict[str, Any]]:
    """The tenant's recordings, or none while the API has no function free."""
    received = api.get("/recordings", params={"limit": 100})
    if received.status_code == 503:
        return []
    assert received.status_code == 200, received.text
    found: list[dict[str, Any]] = received.json()["data"]
    return found


def test_forty_recordings_that_end_together_are_all_copied_once_by_ten_functions(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    made = make(
        cloudflare, room["cloudflare_meeting_id"], count=RECORDINGS, status="UPLOADING", apart_seconds=60, size=4096
    )
    until(lambda: api.post("/rooms/room_1/recordings/sync").status_code == 200, every=1)
    until(lambda: len(waiting(running, tenant)) == RECORDINGS)
    since = datetime.now(UTC) - timedelta(minutes=1)
    before = throttles(running, since)

    with few_functions(running):
        # Ten tasks wait for the file and keep the places of all others.
        fault(cloudflare, "media", "hold")
        with ThreadPoolExecutor(8) as pool:
            ended = pool.map(
                lambda one: cloudflare.post(f"/recordings/{one}/status", json={"status": "UPLOADED"}), made
            )
            assert all(received.is_success for received in ended)
        refused = before + (RECORDINGS - FUNCTIONS) * (TOO_FEW_TRIES + 2)
        until(lambda: throttles(running, since) > refused)
        received = api.get("/rooms/room_1")
        assert (received.status_code, received.json()) == (503, {"message": "Service Unavailable"})
        # A sync, which waits for its own turn too, replaces nothing that waits.
        sync = begin_sync(running)
        cloudflare.delete("/faults").raise_for_status()

        until(lambda: [row["status"] for row in rows(api)] == ["ready"] * RECORDINGS, every=0.5)
        assert outcome(running, sync) == "SUCCEEDED"

    found = rows(api)
    machines = stack.client(running, "stepfunctions")
    pages = machines.get_paginator("list_executions").paginate(stateMachineArn=running["state_machines"]["Processing"])
    executions = [one for page in pages for one in page["executions"]]
    mine = [one for one in executions if one["name"].rpartition("-")[0] in {row["id"] for row in found}]
    assert sorted(one["name"] for one in mine) == sorted(f"{row['id']}-1" for row in found)
    assert {until(partial(outcome, running, one["executionArn"])) for one in mine} == {"SUCCEEDED"}
    assert len(keys(running, "r2", f"{tenant}/")) == RECORDINGS
    assert unfinished(running, "r2", f"{tenant}/") == []
    assert tallies(api)["ready"] == tallies(api)["all"] == RECORDINGS


def test_a_reservation_is_a_limit_and_is_refused_where_it_leaves_the_others_too_little(
    running: dict[str, Any], api: httpx.Client
) -> None:
    lambda_, get_room = stack.client(running, "lambda"), running["functions"]["GetRoom"]
    a_room(api)
    lambda_.put_function_concurrency(FunctionName=get_room, ReservedConcurrentExecutions=0)
    try:
        received = api.get("/rooms/room_1")
        assert (received.status_code, received.json()) == (503, {"message": "Service Unavailable"})
        # The others have what they had.
        assert api.get("/rooms").status_code == 200
    finally:
        lambda_.delete_function_concurrency(FunctionName=get_room)
    assert api.get("/rooms/room_1").status_code == 200

    with few_functions(running), pytest.raises(ClientError, match="below its minimum value") as refused:
        lambda_.put_function_concurrency(FunctionName=get_room, ReservedConcurrentExecutions=1)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert api.get("/rooms/room_1").status_code == 200
