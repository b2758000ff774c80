"""Batches of the table's stream: which records are handled, and which are returned as failed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from recordings.observability import metrics
from recordings.workflow.stream import StreamEvent, StreamRecord, handle_records
from tests.support.template import ROOT

type Json = dict[str, Any]

EXAMPLE: Json = json.loads((ROOT / "events/announce_changes.json").read_text())["Records"][0]


@pytest.fixture(autouse=True)
def counted() -> Iterator[Json]:
    metrics.clear_metrics()
    yield metrics.metric_set
    metrics.clear_metrics()


def batch(*numbers: str) -> StreamEvent:
    records = [{**EXAMPLE, "dynamodb": {**EXAMPLE["dynamodb"], "SequenceNumber": number}} for number in numbers]
    return StreamEvent.model_validate({"Records": records})


def failed(event: StreamEvent, handle: Any, **options: Any) -> list[str]:
    output = handle_records(event, handle, failure="not handled", metric="RecordsFailed", **options)
    return [one["itemIdentifier"] for one in output.to_payload()["batchItemFailures"]]


def test_a_record_has_the_images_before_and_after_the_write() -> None:
    record = StreamRecord.model_validate(EXAMPLE)
    assert record.old_image == EXAMPLE["dynamodb"]["OldImage"]
    assert record.new_image == EXAMPLE["dynamodb"]["NewImage"]
    assert (record.removed_image, record.is_by_time_to_live) == (None, False)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param({"type": "Service", "principalId": "dynamodb.amazonaws.com"}, True, id="TTL"),
        pytest.param({"type": "Service", "principalId": "another"}, False, id="another service"),
        pytest.param(None, False, id="a caller"),
    ],
)
def test_a_removal_says_whether_ttl_removed_the_item(identity: Json | None, expected: bool) -> None:
    record = StreamRecord.model_validate({**EXAMPLE, "eventName": "REMOVE", "userIdentity": identity})
    assert record.removed_image == EXAMPLE["dynamodb"]["OldImage"]
    assert record.is_by_time_to_live is expected


def test_independent_records_are_all_handled_and_the_failed_ones_returned(counted: Json) -> None:
    handled: list[str] = []

    def handle(record: StreamRecord) -> None:
        handled.append(record.sequence_number)
        if record.sequence_number == "2":
            raise ValueError

    assert failed(batch("1", "2", "3"), handle) == ["2"]
    assert handled == ["1", "2", "3"]
    assert counted["RecordsFailed"]["Value"] == [1]


def test_in_order_nothing_is_handled_after_a_failure() -> None:
    handled: list[str] = []

    def handle(record: StreamRecord) -> None:
        handled.append(record.sequence_number)
        if record.sequence_number == "2":
            raise ValueError

    assert failed(batch("1", "2", "3"), handle, in_order=True) == ["2", "3"]
    assert handled == ["1", "2"]


def test_a_malformed_record_fails_alone_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    malformed = {"dynamodb": {"SequenceNumber": "2"}}
    event = StreamEvent.model_validate({"Records": [*batch("1").raw_records, malformed, *batch("3").raw_records]})
    handled: list[str] = []
    assert failed(event, lambda record: handled.append(record.sequence_number)) == ["2"]
    assert handled == ["1", "3"]
    assert "not handled" in [record.message for record in caplog.records]


def test_a_record_whose_ids_cannot_be_read_is_still_handled() -> None:
    def refuse(record: StreamRecord) -> Json:
        raise ValueError

    handled: list[str] = []
    assert failed(batch("1"), lambda record: handled.append(record.sequence_number), ids=refuse) == []
    assert handled == ["1"]
