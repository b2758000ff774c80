"""Events to the tenants' systems: one for each transition and import, none for anything else, and none lost."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from functions.trigger.announce_changes.app import change_of, handler
from recordings.adapters.aws import event_bus as events
from recordings.adapters.aws.event_bus import announce
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure, Progress, Recording
from recordings.observability import metrics
from tests.support.builders import NOON, a_file, a_recording
from tests.support.context import Context

BUS = "recordings-bus"


@pytest.fixture(autouse=True)
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setenv("EVENT_BUS", BUS)
    with Stubber(events._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def image(recording: Recording) -> dict[str, Any]:
    return RecordingItem.from_domain(recording).serialize()


def record(before: Recording | None, after: Recording | None, number: str = "1") -> dict[str, Any]:
    images: dict[str, Any] = {"SequenceNumber": number}
    if before is not None:
        images["OldImage"] = image(before)
    if after is not None:
        images["NewImage"] = image(after)
    return {"eventID": number, "dynamodb": images}


def answers(bus: Stubber, *entries: Sequence[bool]) -> None:
    for some in entries:
        told = [{"EventId": "e"} if taken else {"ErrorCode": "ThrottlingException"} for taken in some]
        bus.add_response("put_events", {"FailedEntryCount": some.count(False), "Entries": told}, {"Entries": ANY})


def begun() -> Recording:
    return a_recording(status=Status.RECORDING)


def a_life() -> list[Recording]:
    """Every transition there is on the way to the archive and back."""
    one = begun()
    life = [one]
    changes: list[Callable[[Recording], Recording]] = [
        lambda one: one.stopped(at=NOON, cause="api_stop"),
        lambda one: one.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="file_verified"),
        lambda one: one.archiving(at=NOON),
        lambda one: one.not_archived(Failure("archive_failed", "No."), at=NOON),
        lambda one: one.archiving(at=NOON),
    ]
    for change in changes:
        one = change(one)
        life.append(one)
    return life


# ---------------------------------------------------------------- which changes are told


def test_every_transition_is_told_with_what_it_left_and_what_it_entered() -> None:
    life = a_life()
    for before, after in pairwise(life):
        detail = change_of(record(before, after))
        assert detail is not None
        assert (detail["from"], detail["to"], detail["version"]) == (before.status, after.status, after.version)
        assert detail["event_id"] == f"{after.id}-{after.version}"
        assert detail["cause"] == after.history[-1].cause
        assert detail["recording"]["version"] == after.version
    assert {detail_id(record(before, after)) for before, after in pairwise(life)} == {
        f"{one.id}-{one.version}" for one in life[1:]
    }


def test_an_events_version_counts_the_changes_that_are_no_transitions_too() -> None:
    """Else two events of one recording could not be ordered, or would be taken for one."""
    recovered = begun().stopped(at=NOON, cause="x").recovered(at=NOON)
    detail = change_of(
        record(recovered, recovered.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x"))
    )
    assert detail is not None
    assert (detail["version"], detail["event_id"]) == (4, f"{recovered.id}-4")


def detail_id(told: dict[str, Any]) -> str:
    detail = change_of(told)
    assert detail is not None
    return str(detail["event_id"])


@pytest.mark.parametrize("status", [Status.RECORDING, Status.PROCESSING, Status.FAILED])
def test_an_import_is_told_without_a_status_before_it(status: Status) -> None:
    recording = a_recording(status=status)
    detail = change_of(record(None, recording))
    assert detail is not None
    assert (detail["from"], detail["to"]) == (None, status)
    assert (detail["tenant_id"], detail["room_id"]) == ("tenant_1", "room_1")
    assert detail["at"] == "2026-01-06T12:00:00Z"
    json.dumps(detail)


def test_a_failure_is_told() -> None:
    before = begun()
    detail = change_of(record(before, before.failed(Failure("x", "y"), at=NOON, cause="x")))
    assert detail is not None
    assert (detail["from"], detail["to"], detail["recording"]["failure"]["code"]) == ("recording", "failed", "x")


def test_a_repeat_has_the_same_id() -> None:
    before = begun()
    after = before.stopped(at=NOON, cause="x")
    assert change_of(record(before, after)) == change_of(record(before, after))


def quiet() -> dict[str, tuple[Recording | None, Recording | None]]:
    stopped = begun().stopped(at=NOON, cause="x")
    ready = stopped.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
    moving = ready.archiving(at=NOON)
    vaulted = moving.vaulted(a_file(provider="s3"), storage_class="GLACIER", at=NOON)
    asked = vaulted.restoring(tier="bulk", days=1, expected_at=NOON, at=NOON)
    gone = ready.deleted(at=NOON)
    return {
        "recovered": (stopped, stopped.recovered(at=NOON)),
        "progress": (stopped, replace(stopped, progress=Progress(step="copying", attempt=1))),
        "stalled": (stopped, replace(stopped, stalled=True)),
        "vaulted": (moving, vaulted),
        "restoring": (vaulted, asked),
        "restored": (asked, asked.restored(until=NOON)),
        # A move between the live ones and the bin is one item that goes and another that comes.
        "deleted, leaving": (ready, None),
        "deleted, coming": (None, gone),
        "undeleted, leaving": (gone, None),
        "undeleted, coming": (None, gone.undeleted()),
        "purged": (gone, None),
    }


@pytest.mark.parametrize("name", quiet())
def test_what_is_no_transition_is_not_told(name: str) -> None:
    before, after = quiet()[name]
    assert change_of(record(before, after)) is None


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.READY, Status.FAILED, Status.ARCHIVED])
def test_a_recording_that_was_imported_deleted_and_brought_back_is_told_once(status: Status) -> None:
    one = a_recording(status=status)
    gone = one.deleted(at=NOON)
    back = gone.undeleted()
    writes = [(None, one), (one, None), (None, gone), (gone, None), (None, back)]
    assert [change_of(record(*write)) is not None for write in writes] == [True, False, False, False, False]


def test_a_transition_of_a_deleted_recording_is_told() -> None:
    before = begun().stopped(at=NOON, cause="x").deleted(at=NOON)
    after = before.stored(a_file(), duration_seconds=5, partial=False, at=NOON, cause="x")
    detail = change_of(record(before, after))
    assert detail is not None
    assert (detail["from"], detail["to"]) == ("processing", "ready")


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "T#tenant_1#ROOM"}, "sk": {"S": "room_1"}},
        {"pk": {"S": "CLOUDFLARE#c"}, "sk": {"S": "LINK"}},
        {"pk": {"S": "BUDGET"}, "sk": {"S": "CLOUDFLARE"}},
        {"pk": {"S": "OPEN"}, "sk": {"S": a_recording().id}},
        {"pk": {"S": "T#tenant_1#LIST#room_1"}, "sk": {"S": a_recording().id}},
        {"pk": {"S": "T#tenant_1#TOKEN"}, "sk": {"S": a_recording().id}},
    ],
)
def test_items_that_are_no_recordings_are_not_told(item: dict[str, Any]) -> None:
    told = {"dynamodb": {"SequenceNumber": "1", "NewImage": item, "OldImage": item}}
    assert change_of(told) is None
    del told["dynamodb"]["OldImage"]
    assert change_of(told) is None


@pytest.mark.parametrize("room_id", ["REC", "TRASH"])
def test_a_room_whose_name_looks_like_a_partition_is_no_recording(room_id: str) -> None:
    listed = {"pk": {"S": f"T#tenant_1#LIST#{room_id}"}, "sk": {"S": a_recording().id}}
    assert change_of({"dynamodb": {"SequenceNumber": "1", "NewImage": listed}}) is None


# ---------------------------------------------------------------- the bus


def test_events_go_to_the_bus_ten_at_a_time(bus: Stubber) -> None:
    details = [{"event_id": str(n)} for n in range(23)]
    for some in (details[:10], details[10:20], details[20:]):
        entries = [
            {
                "Source": "recordings",
                "DetailType": "recording.status_changed",
                "Detail": json.dumps(detail),
                "EventBusName": BUS,
            }
            for detail in some
        ]
        bus.add_response("put_events", {"Entries": [{"EventId": "e"}] * len(some)}, {"Entries": entries})
    assert set(announce(details)) == set()


def test_nothing_to_tell_is_not_sent() -> None:
    assert set(announce([])) == set()


def test_refused_ones_are_named_by_their_place(bus: Stubber) -> None:
    answers(bus, [True] * 9 + [False], [False, True])
    assert set(announce([{}] * 12)) == {9, 10}


@pytest.mark.parametrize(
    ("taken", "failed"),
    [
        ([True, True, True], []),
        ([True, False, True], ["3", "4"]),
        ([False, True, False], ["1", "2", "3", "4"]),
        ([True, True, False], ["4"]),
    ],
)
def test_from_the_first_refused_on_the_stream_sends_again(bus: Stubber, taken: list[bool], failed: list[str]) -> None:
    life = a_life()
    quiet_one = life[1]
    payload = {
        "Records": [
            record(life[0], life[1], "1"),
            record(quiet_one, replace(quiet_one, stalled=True), "2"),
            record(life[1], life[2], "3"),
            record(life[2], life[3], "4"),
        ]
    }
    answers(bus, taken)
    metrics.clear_metrics()
    assert handler(payload, Context()) == {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
    # Lambda sends all again from the first of them on: what will be announced once more is not counted yet.
    announced = sum(number not in failed for number in ("1", "3", "4"))
    assert metrics.metric_set.get("EventsAnnounced", {}).get("Value", [0]) == [announced]
    assert metrics.metric_set.get("EventsRefused", {}).get("Value", [0]) == [int(bool(failed))]
    entered = {name: one["Value"] for name, one in metrics.metric_set.items() if name.startswith("Entered")}
    assert sum(value for (value,) in entered.values()) == announced
    metrics.clear_metrics()


def test_a_refused_change_is_logged_with_its_tenant_and_recording(bus: Stubber, log: io.StringIO) -> None:
    before, after = a_life()[:2]
    answers(bus, [False])
    handler({"Records": [record(before, after, "1"), record(after, replace(after, stalled=True), "2")]}, Context())
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["message"] == "not announced"]
    assert (line["tenant_id"], line["recording_id"]) == (after.tenant_id, after.id)


def test_a_batch_of_nothing_to_tell_sends_nothing() -> None:
    one = a_recording(status=Status.PROCESSING)
    payload = {"Records": [record(one, replace(one, stalled=True))]}
    assert handler(payload, Context()) == {"batchItemFailures": []}
