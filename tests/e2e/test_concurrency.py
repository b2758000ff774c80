"""Many callers at the same moment: one effect, and every answer is one of the contract's."""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from boto3.dynamodb.types import TypeDeserializer

from tests.e2e.support import (
    a_room,
    get,
    hold_archiving,
    imported,
    in_archive,
    in_status,
    keys,
    make,
    repeated,
    scanned,
    settle,
    start,
    stop,
    tallies,
    total,
    until,
)
from tools.listings import faults_of_lists
from tools.local import stack

# Each caller costs a cold start or two.
CALLERS = 16
LOST, FILE_RETENTION = 94, 6
STARTS = 64


def at_once(call: Callable[[], httpx.Response], callers: int = CALLERS) -> list[httpx.Response]:
    with ThreadPoolExecutor(callers) as pool:
        return [*pool.map(lambda _: call(), range(callers))]


def reported(responses: list[httpx.Response]) -> Counter[tuple[int, str]]:
    return Counter((response.status_code, response.json().get("code", "")) for response in responses)


def runs(running: dict[str, Any], machine: str, recording_id: str) -> list[dict[str, Any]]:
    """The runs of a state machine over a recording."""
    pages = stack.client(running, "stepfunctions").get_paginator("list_executions")
    return [
        run
        for page in pages.paginate(stateMachineArn=running["state_machines"][machine])
        for run in page["executions"]
        if run["name"].startswith(recording_id)
    ]


def test_of_many_archive_calls_one_moves_the_file(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client
) -> None:
    recording_id, _ = imported(api, cloudflare, a_room(api))
    in_status(api, recording_id, "ready")

    responses = reported(at_once(lambda: api.post(f"/recordings/{recording_id}/archive")))

    assert responses.keys() <= {(200, ""), (400, "recording_not_archivable")}
    assert responses[200, ""] >= 1
    found = in_archive(api, recording_id, "stored")
    assert [entry["status"] for entry in found["history"]].count("archived") == 1
    assert len(runs(running, "Archiving", recording_id)) == 1
    assert len(keys(running, "s3", recording_id)) == 1
    until(lambda: keys(running, "r2", recording_id) == [])
    assert tallies(api) == {"all": 1, "recording": 0, "processing": 0, "ready": 0, "archived": 1, "failed": 0}


ROUNDS = 6


def test_an_archive_and_a_delete_at_the_same_moment_never_move_what_was_refused(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    make(cloudflare, room["cloudflare_meeting_id"], count=ROUNDS, apart_seconds=3600)
    ids = [row["id"] for row in api.post("/rooms/room_1/recordings/sync").json()["data"]["recordings"]]
    assert len(ids) == ROUNDS
    until(lambda: total(api, status="ready") == ROUNDS, every=0.5)
    moved = []
    with ThreadPoolExecutor(2) as pool:
        for recording_id in ids:
            path = f"/recordings/{recording_id}"
            archiving, deleting = pool.submit(api.post, f"{path}/archive"), pool.submit(api.delete, path)
            assert deleting.result().status_code == 200
            response = archiving.result()
            assert (response.status_code, response.json().get("code")) in {(200, None), (404, "recording_not_found")}
            if response.status_code == 200:
                moved.append(recording_id)
            else:
                assert runs(running, "Archiving", recording_id) == []
    for recording_id in ids:
        assert api.post(f"/recordings/{recording_id}/undelete").status_code == 200
        if recording_id in moved:
            in_archive(api, recording_id, "stored")
        found = get(api, recording_id)
        assert found["status"] == ("archived" if recording_id in moved else "ready")
        assert len(keys(running, "s3", recording_id)) == (recording_id in moved)


def test_of_many_recover_calls_one_starts_a_new_run(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, stall_in="UPLOADING")
    a_room(api)
    recording_id = start(api)
    stop(api)
    before = get(api, recording_id)

    began = time.monotonic()
    responses = reported(at_once(lambda: api.post(f"/recordings/{recording_id}/recover")))
    took = time.monotonic() - began

    assert responses.keys() <= {(200, ""), (409, "concurrent_update")}
    assert responses[200, ""] >= 1
    found = get(api, recording_id)
    # Calls within ten seconds ask for one new run; a slow machine may take longer to make them all. What is stored are
    # whole seconds: ten of them may be little more than nine.
    assert found["status"] == "processing"
    assert 1 <= found["version"] - before["version"] <= 1 + (took + 1) // 10
    assert found["history"] == before["history"]
    active = [run for run in runs(running, "Processing", recording_id) if run["status"] == "RUNNING"]
    assert len(active) == 1
    (held,) = [one for one in cloudflare.get("/recordings").json()["data"] if one["meeting_id"] == meeting_of(api)]
    cloudflare.post(f"/recordings/{held['id']}/status", json={"status": "UPLOADED"}).raise_for_status()
    ready = in_status(api, recording_id, "ready")
    assert [entry["status"] for entry in ready["history"]] == ["recording", "processing", "ready"]


def meeting_of(api: httpx.Client) -> str:
    return str(api.get("/rooms/room_1").json()["data"]["cloudflare_meeting_id"])


def test_of_many_delete_calls_one_deletes(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)
    recording_id, _ = imported(api, cloudflare, room)
    other, _ = imported(api, cloudflare, room)
    in_status(api, recording_id, "ready")
    in_status(api, other, "ready")

    responses = reported(at_once(lambda: api.delete(f"/recordings/{recording_id}")))

    assert responses.keys() <= {(200, ""), (404, "recording_not_found"), (409, "concurrent_update")}
    assert responses[200, ""] >= 1
    assert tallies(api) == {"all": 1, "recording": 0, "processing": 0, "ready": 1, "archived": 0, "failed": 0}
    assert api.post(f"/recordings/{recording_id}/undelete").status_code == 200
    assert tallies(api)["ready"] == 2


def test_of_many_stop_calls_each_is_told_of_the_one_stop(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client
) -> None:
    a_room(api)
    recording_id = start(api)

    responses = at_once(lambda: api.post("/rooms/room_1/recordings/stop"), 8)

    assert reported(responses).keys() <= {(200, ""), (404, "no_active_recording")}
    assert {one.json()["data"]["id"] for one in responses if one.status_code == 200} == {recording_id}
    ready = in_status(api, recording_id, "ready")
    assert [entry["status"] for entry in ready["history"]] == ["recording", "processing", "ready"]
    assert len(runs(running, "Processing", recording_id)) == 1


def test_archiving_and_deleting_at_once_loses_neither(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client
) -> None:
    recording_id, _ = imported(api, cloudflare, a_room(api))
    in_status(api, recording_id, "ready")

    with ThreadPoolExecutor(2) as pool:
        archived, deleted = pool.map(
            lambda call: call(),
            (
                lambda: api.post(f"/recordings/{recording_id}/archive"),
                lambda: api.delete(f"/recordings/{recording_id}"),
            ),
        )

    assert deleted.status_code == 200
    assert archived.status_code in {200, 404}
    assert total(api) == 0
    assert api.post(f"/recordings/{recording_id}/undelete").status_code == 200
    if archived.status_code == 200:
        assert in_archive(api, recording_id, "stored")["status"] == "archived"
    else:
        # What was refused began nothing.
        assert get(api, recording_id)["status"] == "ready"
    assert total(api, status=["ready", "archived"]) == total(api) == 1


def test_a_hundred_imports_under_syncs_and_webhooks_happen_once_and_are_counted_exactly(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    # Most are lost ones, so that the test is about importing and not about fetching.
    ids = make(cloudflare, room["cloudflare_meeting_id"], count=LOST, status="ERRORED", apart_seconds=600)
    ids += make(cloudflare, room["cloudflare_meeting_id"], count=FILE_RETENTION, apart_seconds=3600)

    def webhooks() -> None:
        for one in ids[::4]:
            cloudflare.post("/webhooks/resend", json={"recording_id": one}).raise_for_status()

    with ThreadPoolExecutor(9) as pool:
        sent = pool.submit(webhooks)
        responses = [*pool.map(lambda _: api.post("/rooms/room_1/recordings/sync"), range(8))]
        sent.result()

    # A busy machine may keep Cloudflare from answering before the request's time is over: then too, call again.
    assert {response.status_code for response in responses} <= {200, 503, 504}, {
        a.text for a in responses if a.is_error
    }
    assert all(response.headers["retry-after"] for response in responses if response.status_code == 503)
    until(lambda: api.post("/rooms/room_1/recordings/sync").status_code == 200, every=1)
    until(lambda: delivered(cloudflare, ids[::4]), every=1)
    until(lambda: total(api, status="ready") == FILE_RETENTION, every=1)
    whole = {
        "all": LOST + FILE_RETENTION,
        "recording": 0,
        "processing": 0,
        "ready": FILE_RETENTION,
        "archived": 0,
        "failed": LOST,
    }
    assert tallies(api) == whole
    assert total(api, room_id="room_1", status=["ready", "failed"]) == LOST + FILE_RETENTION
    links = [row for row in scanned(running, of="CLOUDFLARE#") if row["pk"]["S"].removeprefix("CLOUDFLARE#") in ids]
    assert len({row["recording_id"]["S"] for row in links}) == len(links) == LOST + FILE_RETENTION

    assert len(keys(running, "r2", f"{tenant}/room_1/")) == FILE_RETENTION

    before = scanned(running, of=tenant)
    again = api.post("/rooms/room_1/recordings/sync")
    assert again.json()["data"] == {"synced_count": 0, "recordings": []}
    assert len(before) > LOST + FILE_RETENTION
    assert scanned(running, of=tenant) == before


def delivered(cloudflare: httpx.Client, ids: list[str]) -> bool:
    """Whether the last delivery of each webhook was taken. One that found no free function each time is sent again."""
    last = {}
    for one in cloudflare.get("/deliveries").json()["data"]:
        # Other tests on the stack forge bodies that are no news at all.
        reported = json.loads(one["body"])
        recording = reported.get("recording") if isinstance(reported, dict) else None
        if isinstance(recording, dict):
            last[recording.get("id")] = one["answers"][-1:]
    for id in ids:
        if last.get(id) == [503]:
            cloudflare.post("/webhooks/resend", json={"recording_id": id}).raise_for_status()
    return all(last.get(id) == [200] for id in ids)


def test_many_rooms_that_start_at_once_are_all_recorded_and_counted_exactly(
    running: dict[str, Any], api: httpx.Client, tenant: str
) -> None:
    rooms = [a_room(api, f"room_{number}")["id"] for number in range(STARTS)]

    def begin(room: str) -> int:
        return repeated(lambda: api.post(f"/rooms/{room}/recordings/start"))[0].status_code

    began = time.monotonic()
    with ThreadPoolExecutor(STARTS) as pool:
        responses = Counter(pool.map(begin, rooms))
    took = time.monotonic() - began

    # 409: a busy machine did not answer in time, and the start was carried out.
    assert responses.keys() <= {201, 409}, responses
    # A few seconds on an idle machine whose functions are warm. Here each start is a process of its own.
    assert took < 120
    assert tallies(api)["recording"] == tallies(api)["all"] == STARTS
    plain = TypeDeserializer().deserialize
    table = [{name: plain(value) for name, value in row.items()} for row in scanned(running)]
    assert [fault for fault in faults_of_lists(table) if f"'{tenant}'" in fault] == []


def test_a_move_that_is_under_way_is_not_begun_again(
    running: dict[str, Any], api: httpx.Client, cloudflare: httpx.Client
) -> None:
    recording_id, _ = imported(api, cloudflare, a_room(api))
    in_status(api, recording_id, "ready")
    hold_archiving(running, recording_id)
    assert api.post(f"/recordings/{recording_id}/archive").status_code == 200

    responses = reported(at_once(lambda: api.post(f"/recordings/{recording_id}/archive"), 8))

    assert responses == {(400, "recording_not_archivable"): 8}
    assert len(runs(running, "Archiving", recording_id)) == 1
