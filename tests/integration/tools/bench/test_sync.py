"""What the sync benchmark writes, counts and prints."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.actor import system
from recordings.domain.lifecycle import Status
from recordings.request_context import request_context
from tests.support.builders import a_recording
from tests.support.table import a_table
from tools.bench import sync
from tools.bench.sync import NewItems, Row, known, months, store, syncs_a_day, units, work_of
from tools.bench.transfer.errors import BenchError

AT = datetime(2026, 1, 6, 10, tzinfo=UTC)


def a_row(known: int = 1000, kind: str = "whole list", **facts: Any) -> Row:
    made: dict[str, Any] = {
        "known": known,
        "kind": kind,
        "new": 50,
        "calls": {"list": 11, "get": 50},
        "pages": 11,
        "writes": 204,
        "write_units": 660,
        "transitions": 10,
        "gb_seconds": 1.74,
        "seconds": 3.54,
    }
    return Row(**{**made, **facts})


@pytest.fixture
def table() -> Iterator[None]:
    with a_table():
        yield


def items() -> list[Any]:
    return sorted(client.scan(TableName=TABLE)["Items"], key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


@pytest.mark.usefixtures("table")
def test_what_is_stored_in_batches_is_what_adding_each_stores() -> None:
    recordings = [*known("room", "meeting", [f"capture-{n}" for n in range(30)], AT.isoformat())]

    with request_context(tenant_id=None, actor=system("sync")):
        for one in recordings:
            DynamoRecordings().add(one, lease_nonce=None)
    added = items()
    for item in added:
        client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    assert items() == []
    store(iter(recordings))

    assert len(added) > 3 * len(recordings)
    assert items() == added


def test_a_recording_that_is_not_finished_is_refused() -> None:
    with pytest.raises(BenchError, match="not finished"):
        NewItems().add(a_recording(status=Status.PROCESSING))


def test_what_a_sync_needs_is_its_pages_and_a_call_for_each_new_recording() -> None:
    row = a_row()

    assert row.needed == 61
    assert row.needed == sum(row.calls.values())
    assert a_row(new=0, pages=2).needed == 2


def test_calls_stand_beside_what_is_needed() -> None:
    rows = [a_row(), a_row(kind="since the last", calls={"list": 2}, pages=2, writes=0, seconds=120.0)]

    _, first, second = sync.table(rows).splitlines()

    costs = ["660", "10", "1.7"]
    assert first.split() == ["1000", "whole", "list", "61", "61", "50", "get,", "11", "list", "204", *costs, "3.5"]
    assert second.split() == ["1000", "since", "the", "last", "2", "52", "2", "list", "0", *costs, "120.0"]


def test_a_write_costs_a_unit_for_each_begun_kilobyte_and_two_in_a_transaction() -> None:
    small, large = {"pk": {"S": "a" * 100}}, {"pk": {"S": "a" * 1100}}
    assert units("T#acme#REC", {"NewImage": small}) == 2
    assert units("T#acme#REC", {"OldImage": large, "NewImage": small}) == 4
    assert units("BUDGET", {"OldImage": small, "NewImage": small}) == 1


def event(kind: str, second: float, output: object = None) -> dict[str, Any]:
    reported: dict[str, Any] = {"type": kind, "timestamp": AT + timedelta(seconds=second)}
    if kind == "TaskSucceeded":
        reported["taskSucceededEventDetails"] = {"output": json.dumps({"Payload": output})}
    return reported


def test_the_work_of_a_run_is_its_states_its_batches_and_the_time_of_its_tasks() -> None:
    events = [
        event("ExecutionStarted", 0),
        event("TaskStateEntered", 0),
        event("TaskScheduled", 1),
        event("TaskSucceeded", 3, {"batches": [[], [], []]}),
        event("MapStateEntered", 3),
        event("MapStateExited", 8),
        event("ChoiceStateEntered", 8),
        event("TaskStateEntered", 8),
        event("TaskScheduled", 8),
        event("TaskSucceeded", 9, {}),
        event("MapStateEntered", 9),
        event("MapStateExited", 9.5),
    ]
    # Five states and three batches; two, twice five and one second.
    assert work_of(events, 0.5) == (5 + 3, (2 + 2 * 5 + 1) * 0.5)


def test_a_month_walks_the_whole_list_once_a_day_and_finds_nothing_new() -> None:
    rows = [
        a_row(kind="whole list", calls={"list": 11, "get": 50}, transitions=20, gb_seconds=3.0, write_units=700),
        a_row(kind="since the last", calls={"list": 2, "get": 50}, transitions=9, gb_seconds=2.0, write_units=690),
        a_row(kind="nothing new", new=0, calls={"list": 2}, transitions=6, gb_seconds=0.5, write_units=4),
    ]

    _, line = months(rows, 288).splitlines()

    calls, transitions = 30 * (11 + 287 * 2), 30 * (17 + 287 * 6)
    assert line.split() == ["1000", "8640", str(calls), str(transitions), "4350", str(30 * (14 + 287 * 4))]


def test_the_schedule_is_the_templates() -> None:
    assert syncs_a_day() == 288
