"""What the tenants' systems hear: one event for each transition, and none for anything else."""

import json
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.support import (
    Json,
    a_room,
    get,
    hold_archiving,
    imported,
    in_archive,
    in_status,
    make,
    outcome,
    run_archiving,
    settle,
    start,
    stop,
    sync,
    until,
)
from tools.local import stack

DETAIL = {"event_id", "tenant_id", "recording_id", "room_id", "from", "to", "at", "cause", "version", "recording"}


class Heard:
    """Everything that came over the bus, read from a queue that a rule feeds."""

    def __init__(self, running: Json, queue: str) -> None:
        self._sqs, self._queue = stack.client(running, "sqs"), queue
        self._events: list[Json] = []

    def of(self, recording_id: str) -> list[Json]:
        """The events of a recording so far, in the order they came."""
        while found := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                self._events.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in self._events if event["detail"]["recording_id"] == recording_id]

    def after(self, recording_id: str, number: int) -> list[Json]:
        """The events of a recording once there are so many different ones."""

        def look() -> list[Json] | None:
            events = self.of(recording_id)
            return events if len({event["detail"]["event_id"] for event in events}) >= number else None

        found = until(look)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def heard(running: Json) -> Iterator[Heard]:
    events, sqs = stack.client(running, "events"), stack.client(running, "sqs")
    (bus,) = [one["Name"] for one in events.list_event_buses()["EventBuses"] if one["Name"].endswith("-events")]
    name = f"heard-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["recordings"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    try:
        yield Heard(running, queue)
    finally:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)


def steps(events: list[Json]) -> list[tuple[str | None, str, str]]:
    """From, to and cause by version, a repeat once."""
    by_version = {event["detail"]["version"]: event["detail"] for event in events}
    return [(one["from"], one["to"], one["cause"]) for _, one in sorted(by_version.items())]


def check(events: list[Json], recording: Json, tenant: str) -> None:
    """The envelope, the keys of the detail, and what must agree in it."""
    for event in events:
        detail = event["detail"]
        assert (event["source"], event["detail-type"]) == ("recordings", "recording.status_changed")
        assert detail.keys() == DETAIL
        assert (detail["tenant_id"], detail["room_id"]) == (tenant, recording["room_id"])
        assert detail["recording"]["id"] == detail["recording_id"] == recording["id"]
        assert (detail["recording"]["status"], detail["recording"]["version"]) == (detail["to"], detail["version"])
        assert detail["recording"].keys() == recording.keys()
        entered = {"status": detail["to"], "at": detail["at"], "cause": detail["cause"]}
        assert entered in [{key: entry[key] for key in entered} for entry in recording["history"]]
        assert all(entry["actor"] for entry in recording["history"])
    versions = [event["detail"]["version"] for event in events]
    # One recording's events come in order; a repeat has the same id.
    assert versions == sorted(versions)
    pairs = {(event["detail"]["version"], event["detail"]["event_id"]) for event in events}
    assert len(pairs) == len({version for version, _ in pairs}) == len({id for _, id in pairs})


def test_a_whole_life_is_told_in_one_event_for_each_transition(
    running: Json, heard: Heard, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    a_room(api)
    recording_id = start(api)
    stop(api)
    in_status(api, recording_id, "ready")
    assert api.post(f"/recordings/{recording_id}/archive").status_code == 200
    in_archive(api, recording_id, "stored")

    events = heard.after(recording_id, 4)

    assert steps(events) == [
        (None, "recording", "api_start"),
        ("recording", "processing", "api_stop"),
        ("processing", "ready", "file_verified"),
        ("ready", "archived", "api_archive"),
    ]
    check(events, get(api, recording_id), tenant)


@pytest.mark.usefixtures("unfiltered")
def test_what_is_refused_deleted_or_brought_back_is_not_told(
    running: Json, heard: Heard, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    recording_id, _ = imported(api, cloudflare, room)
    in_status(api, recording_id, "ready")
    before = len(heard.after(recording_id, 2))
    for _ in range(2):
        assert api.delete(f"/recordings/{recording_id}").status_code == 200
        assert api.post(f"/recordings/{recording_id}/archive").status_code == 404
        assert api.post(f"/recordings/{recording_id}/undelete").status_code == 200
    assert api.post(f"/recordings/{recording_id}/recover").status_code == 400
    assert api.post(f"/recordings/{recording_id}/restore").status_code == 400
    assert api.post("/rooms/room_1/recordings/stop").status_code == 404
    assert sync(api)["synced_count"] == 0
    hold_archiving(running, recording_id)
    assert api.post(f"/recordings/{recording_id}/archive").status_code == 200

    # The stream is in order: what comes last shows that nothing came between.
    events = heard.after(recording_id, before + 1)

    assert [one[1] for one in steps(events)][before:] == ["archived"]
    check(events, get(api, recording_id), tenant)


@pytest.mark.usefixtures("unfiltered")
def test_an_import_is_told_once_and_with_its_cause(
    heard: Heard, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    make(cloudflare, room["cloudflare_meeting_id"], status="ERRORED")
    (row,) = sync(api)["recordings"]
    assert sync(api)["synced_count"] == 0

    events = heard.after(row["id"], 1)

    assert [(from_, to) for from_, to, _ in steps(events)] == [(None, "failed")]
    assert events[0]["detail"]["recording"]["failure"]["code"] == "capture_failed"
    check(events, get(api, row["id"]), tenant)


@pytest.mark.usefixtures("unfiltered")
def test_a_lost_recording_is_told_as_failed(
    heard: Heard, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    recording_id = start(api)
    (made,) = cloudflare.get("/recordings", params={"meeting_id": room["cloudflare_meeting_id"]}).json()["data"]
    cloudflare.post(f"/recordings/{made['id']}/status", json={"status": "ERRORED"}).raise_for_status()

    in_status(api, recording_id, "failed")
    events = heard.after(recording_id, len(get(api, recording_id)["history"]))

    assert steps(events)[0] == (None, "recording", "api_start")
    assert steps(events)[-1][1:] == ("failed", "capture_failed")
    check(events, get(api, recording_id), tenant)


@pytest.mark.usefixtures("unfiltered")
def test_a_move_that_fails_for_good_is_told_as_ready_again(
    running: Json, heard: Heard, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    settle(cloudflare, webhooks=False)
    recording_id, _ = imported(api, cloudflare, a_room(api))
    in_status(api, recording_id, "ready")
    (item,) = stack.client(running, "r2").list_objects_v2(
        Bucket=running["buckets"]["r2"], Prefix=f"{tenant}/room_1/{recording_id}/"
    )["Contents"]
    whole = stack.client(running, "r2").get_object(Bucket=running["buckets"]["r2"], Key=item["Key"])["Body"].read()
    stack.client(running, "r2").put_object(Bucket=running["buckets"]["r2"], Key=item["Key"], Body=whole[:-1] + b"\0\0")
    hold_archiving(running, recording_id)
    assert api.post(f"/recordings/{recording_id}/archive").status_code == 200

    assert outcome(running, run_archiving(running, tenant, recording_id)) == "FAILED"
    events = heard.after(recording_id, 4)

    assert [(from_, to) for from_, to, _ in steps(events)][-2:] == [("ready", "archived"), ("archived", "ready")]
    check(events, get(api, recording_id), tenant)
