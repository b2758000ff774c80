"""From Cloudflare's file to ours: deliveries, bad lines, lost files, webhooks, and a provider that fails."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import calm
from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    a_room,
    client_of,
    downloaded,
    fault,
    get,
    imported,
    in_status,
    keys,
    make,
    provider_recordings,
    settle,
    start,
    stop,
    sync,
    tallies,
    total,
    unfinished,
    until,
)
from tools.local import stack

MIB = 1024 * 1024
SIZES = {
    # The least that is an MP4; what is no media: test_admission.py.
    "44 B": 44,
    "16 MiB-1": 16 * MIB - 1,
    "16 MiB": 16 * MIB,
    "16 MiB+1": 16 * MIB + 1,
    "60 MB": 60_000_000,
}
LINES: dict[str, Json | None] = {
    "good": None,
    # So often that no part of 16 MiB comes over one connection.
    "cut": {"kind": "cut", "every_bytes": 1_000_000},
    "busy": {"kind": "answer", "status": 503, "probability": 0.3},
}


def media_calls(cloudflare: httpx.Client, cloudflare_recording_id: str) -> int:
    """How often a recording's file was asked for."""
    asked = cloudflare.get("/requests").json()["data"]
    return sum(one["operation"] == "media" and cloudflare_recording_id in one["path"] for one in asked)


def only(cloudflare: httpx.Client, room: Json) -> Json:
    """The one recording that the stand-in made in a room's meeting."""
    (made,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
    return made


def change(cloudflare: httpx.Client, cloudflare_recording_id: str, **facts: Any) -> None:
    cloudflare.patch(f"/recordings/{cloudflare_recording_id}", json=facts).raise_for_status()


def state(cloudflare: httpx.Client, cloudflare_recording_id: str, status: str) -> None:
    cloudflare.post(f"/recordings/{cloudflare_recording_id}/status", json={"status": status}).raise_for_status()


def check_whole(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, recording_id: str, cloudflare_recording_id: str
) -> Json:
    """The recording is ready with exactly Cloudflare's bytes, kept once, and nothing is left half uploaded."""
    found = in_status(api, recording_id, "ready")
    truth = cloudflare.get(f"/recordings/{cloudflare_recording_id}").json()["data"]
    assert found["size_bytes"] == truth["size"]
    assert downloaded(api, recording_id) == truth["sha256"]
    assert unfinished(running, "r2", recording_id) == []
    assert (found["failure"], found["progress"], found["provider"]) == (None, None, "r2")
    return found


# ---------------------------------------------------------------- how the file comes


def test_a_file_that_cloudflare_delivers_is_not_copied(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    recording_id = start(api)
    made = only(cloudflare, room)
    change(cloudflare, made["id"], size=20_000_000)
    stop(api)

    found = check_whole(running, api, cloudflare, recording_id, made["id"])

    assert media_calls(cloudflare, made["id"]) == 0
    assert found["size_bytes"] == 20_000_000
    assert found["partial"] is False
    assert len(keys(running, "r2", f"delivered/{tenant}/")) == 1
    assert keys(running, "r2", recording_id) == []


@pytest.mark.parametrize("own_bucket", ["ignore", "refuse"])
def test_a_file_that_cloudflare_does_not_deliver_is_fetched(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, own_bucket: str
) -> None:
    settle(cloudflare, own_bucket=own_bucket)
    room = a_room(api)
    recording_id = start(api)
    made = only(cloudflare, room)
    stop(api)

    check_whole(running, api, cloudflare, recording_id, made["id"])

    assert media_calls(cloudflare, made["id"]) > 0
    assert len(keys(running, "r2", recording_id)) == 1


# ---------------------------------------------------------------- bad lines


@dataclass(frozen=True)
class Copied:
    api: httpx.Client
    control: httpx.Client
    ids: dict[tuple[str, str], tuple[str, str]]


@pytest.fixture(scope="module")
def copied(running: Json) -> Iterator[Copied]:
    """Files of every size over every line, all at once: each line's fault is for its own files alone."""
    with (
        client_of(running, f"tenant-{uuid.uuid4().hex[:12]}") as api,
        httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as control,
    ):
        room = a_room(api)
        made: dict[tuple[str, str], str] = {}
        for line, how in LINES.items():
            for name, size in SIZES.items():
                if line == "good" or size > MIB:
                    one = make(
                        control, room["cloudflare_meeting_id"], size=size, exact=True, age_seconds=60 * len(made)
                    )
                    made[line, name] = one["id"]
                    if how:
                        fault(control, "media", recording_id=one["id"], **how)
        assert sync(api)["synced_count"] == len(made)
        until(lambda: total(api, status="processing") == 0, every=0.5)
        rows = api.get("/recordings", params={"limit": 100}).json()["data"]
        # Newest first, and made newest first.
        ids = {place: (row["id"], made[place]) for place, row in zip(made, rows, strict=True)}
        control.delete("/faults")
        yield Copied(api, control, ids)


@pytest.mark.parametrize(
    ("line", "name"), [(line, name) for line in LINES for name in SIZES if line == "good" or SIZES[name] > MIB]
)
def test_a_file_of_any_size_arrives_whole_over_any_line(running: Json, copied: Copied, line: str, name: str) -> None:
    recording_id, cloudflare_recording_id = copied.ids[line, name]

    found = check_whole(running, copied.api, copied.control, recording_id, cloudflare_recording_id)

    assert found["size_bytes"] == SIZES[name]
    assert len(keys(running, "r2", recording_id)) == 1
    assert [entry["status"] for entry in found["history"]] == ["recording", "processing", "ready"]
    if line == "cut" and SIZES[name] > 16 * MIB:
        # One to measure, one for each part, and one more for each connection that broke.
        assert media_calls(copied.control, cloudflare_recording_id) > 1 + -(-SIZES[name] // (16 * MIB))


def test_files_that_cannot_be_read_in_ranges_arrive_whole(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, ranges=False)
    for number, size in enumerate((44, 16 * MIB + 1)):
        recording_id, made = imported(api, cloudflare, a_room(api, f"room_{number}"), size=size, exact=True)
        check_whole(running, api, cloudflare, recording_id, made["id"])


def parts_of(running: Json, recording_id: str) -> int:
    """How many parts of a recording's file are stored while the upload of it is not complete."""
    r2, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    found = r2.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return sum(
        len(r2.list_parts(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"]).get("Parts", []))
        for one in found
        if recording_id in one["Key"]
    )


def test_a_file_that_changes_while_it_is_copied_is_copied_anew(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    made = make(cloudflare, a_room(api)["cloudflare_meeting_id"], size=120_000_000, exact=True)
    # It is measured, two parts of it come, and the others only once it has changed.
    fault(cloudflare, "media", "hold", recording_id=made["id"], after=3)
    (row,) = sync(api)["recordings"]
    until(lambda: parts_of(running, row["id"]) > 0)

    change(cloudflare, made["id"], changed=True)
    cloudflare.delete("/faults").raise_for_status()

    found = check_whole(running, api, cloudflare, row["id"], made["id"])
    assert cloudflare.get(f"/recordings/{made['id']}").json()["data"]["sha256"] != made["sha256"]
    assert len(keys(running, "r2", row["id"])) == 1
    assert found["version"] == 3


def test_a_url_that_runs_out_while_the_file_is_copied_is_replaced(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    made = make(cloudflare, a_room(api)["cloudflare_meeting_id"], size=60_000_000, exact=True)
    # It is measured, a part of it comes, and the other three only once the URL has run out.
    fault(cloudflare, "media", "hold", recording_id=made["id"], after=2)
    (row,) = sync(api)["recordings"]
    until(lambda: parts_of(running, row["id"]) > 0)

    change(cloudflare, made["id"], run_out=True)
    cloudflare.delete("/faults").raise_for_status()

    check_whole(running, api, cloudflare, row["id"], made["id"])
    assert media_calls(cloudflare, made["id"]) > 1 + 4


# ---------------------------------------------------------------- lost files


def test_an_errored_recording_with_a_file_is_ready_and_partial(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    recording_id = start(api)
    made = only(cloudflare, room)

    change(cloudflare, made["id"], partial=True)

    found = check_whole(running, api, cloudflare, recording_id, made["id"])
    assert found["partial"] is True


def test_an_errored_recording_without_a_file_is_failed(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)
    recording_id = start(api)

    state(cloudflare, only(cloudflare, room)["id"], "ERRORED")

    found = in_status(api, recording_id, "failed")
    assert (found["failure"]["code"], found["partial"], found["size_bytes"]) == ("capture_failed", False, None)
    assert api.get("/rooms/room_1").json()["data"]["active_recording_id"] is None
    response = api.get(f"/recordings/{recording_id}/download")
    assert (response.status_code, response.json()["code"]) == (409, "recording_failed")


def test_a_file_that_has_expired_is_failed_and_says_so(api: httpx.Client, cloudflare: httpx.Client) -> None:
    found = []
    for number, at_import in enumerate((True, False)):
        room = a_room(api, f"room_{number}")
        made = make(cloudflare, room["cloudflare_meeting_id"], status="UPLOADED" if at_import else "UPLOADING")
        if at_import:
            change(cloudflare, made["id"], url_until="2026-01-06T10:30:00Z")
            (row,) = sync(api, room["id"])["recordings"]
        else:
            settle(cloudflare, webhooks=False, url_seconds=-60)
            (row,) = sync(api, room["id"])["recordings"]
            assert row["status"] == "processing"
            # The webhook ends the wait for the upload.
            settle(cloudflare, webhooks=True)
            state(cloudflare, made["id"], "UPLOADED")
        found.append(row["id"])
    # Both wait for the second look at once.
    for one in found:
        assert in_status(api, one, "failed")["failure"]["code"] == "file_expired"


# ---------------------------------------------------------------- webhooks


def test_without_webhooks_a_recording_becomes_ready_all_the_same(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, webhooks=False)
    room = a_room(api)
    recording_id = start(api)
    stop(api)
    check_whole(running, api, cloudflare, recording_id, only(cloudflare, room)["id"])


def answers_to(cloudflare: httpx.Client, mark: str) -> list[list[Any]]:
    """What the API answered to the deliveries whose body holds a mark."""
    return [one["answers"] for one in cloudflare.get("/deliveries").json()["data"] if mark in one["body"]]


def hook(cloudflare_recording_id: str, meeting_id: str, status: str, mark: str) -> Json:
    reported = {
        "id": cloudflare_recording_id,
        "recordingId": cloudflare_recording_id,
        "status": status,
        "meetingId": meeting_id,
    }
    return {"event": "recording.statusUpdate", "recording": reported, "meeting": {"id": meeting_id}, "mark": mark}


@pytest.mark.parametrize("how", ["forged", "unsigned", "altered"])
def test_a_webhook_that_cloudflare_did_not_sign_is_refused_and_changes_nothing(
    api: httpx.Client, cloudflare: httpx.Client, how: str
) -> None:
    settle(cloudflare, webhooks=False, stall_in="UPLOADING")
    room = a_room(api)
    recording_id = start(api)
    made, mark = only(cloudflare, room), uuid.uuid4().hex
    cloudflare.post(f"/recordings/{made['id']}/end").raise_for_status()
    before = get(api, recording_id)

    body = hook(made["id"], room["cloudflare_meeting_id"], "UPLOADING", mark)
    cloudflare.post("/webhooks/forge", json={"body": body, how: True}).raise_for_status()

    until(lambda: answers_to(cloudflare, mark) == [[401]])
    assert get(api, recording_id) == before
    # The same body with Cloudflare's signature is taken.
    cloudflare.post("/webhooks/forge", json={"body": body}).raise_for_status()
    assert in_status(api, recording_id, "processing")["version"] == 2


def test_old_repeated_and_reordered_news_changes_nothing(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, webhook_copies=3)
    room = a_room(api)
    recording_id = start(api)
    made = only(cloudflare, room)
    stop(api)
    before = check_whole(running, api, cloudflare, recording_id, made["id"])
    # A stop is stored before Cloudflare is asked, which is a version of its own.
    assert before["version"] == len(before["history"]) + 1 == 4
    already = len(answers_to(cloudflare, made["id"]))

    for status in ("ERRORED", "UPLOADING", "RECORDING", "INVOKED", "UPLOADED", "NEWS"):
        cloudflare.post("/webhooks/resend", json={"recording_id": made["id"], "status": status, "copies": 2})

    until(lambda: len([one for one in answers_to(cloudflare, made["id"]) if one[-1:] == [200]]) >= already + 12)
    assert get(api, recording_id) == before
    assert tallies(api)["all"] == 1


def taken(cloudflare: httpx.Client, mark: str) -> bool:
    return answers_to(cloudflare, mark) == [[200]]


def test_news_that_lies_about_a_running_recording_changes_nothing(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)
    recording_id = start(api)
    made = only(cloudflare, room)
    until(lambda: only(cloudflare, room)["status"] == "RECORDING")
    before = get(api, recording_id)

    for status in ("ERRORED", "UPLOADING", "UPLOADED"):
        mark = uuid.uuid4().hex
        body = hook(made["id"], room["cloudflare_meeting_id"], status, mark)
        cloudflare.post("/webhooks/forge", json={"body": body}).raise_for_status()
        until(partial(taken, cloudflare, mark))

    assert get(api, recording_id) == before
    stop(api)


def test_news_of_strange_meetings_and_of_other_customers_is_taken_and_ignored(
    api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    elsewhere = make(cloudflare, str(uuid.uuid4()))
    stranger = str(uuid.uuid4())
    reported = [
        # A recording and a meeting that nobody has; a stranger's recording said to be of our meeting; the same for one
        # that Cloudflare knows but that is of another meeting; and bodies that are no news at all.
        hook(stranger, str(uuid.uuid4()), "RECORDING", uuid.uuid4().hex),
        hook(stranger, room["cloudflare_meeting_id"], "UPLOADED", uuid.uuid4().hex),
        hook(elsewhere["id"], room["cloudflare_meeting_id"], "UPLOADED", uuid.uuid4().hex),
        hook(elsewhere["id"], elsewhere["meeting_id"], "UPLOADED", uuid.uuid4().hex),
        {"event": "meeting.ended", "mark": uuid.uuid4().hex},
        {"event": "recording.statusUpdate", "recording": None, "mark": uuid.uuid4().hex},
        {"event": "recording.statusUpdate", "recording": {"id": 7, "meetingId": []}, "mark": uuid.uuid4().hex},
    ]
    for body in reported:
        cloudflare.post("/webhooks/forge", json={"body": body}).raise_for_status()

    for body in reported:
        until(partial(taken, cloudflare, body["mark"]))
    assert tallies(api)["all"] == 0
    assert api.get("/rooms/room_1").json()["data"]["active_recording_id"] is None


def test_news_that_meets_a_passing_fault_is_sent_again_and_taken(api: httpx.Client, cloudflare: httpx.Client) -> None:
    room = a_room(api)
    settle(cloudflare, webhooks=False)
    made = make(cloudflare, room["cloudflare_meeting_id"], status="ERRORED")
    fault(cloudflare, "get", "answer", status=503)

    cloudflare.post("/webhooks/resend", json={"recording_id": made["id"]}).raise_for_status()
    until(lambda: any(answers_to(cloudflare, made["id"])))
    assert total(api) == 0
    cloudflare.delete("/faults").raise_for_status()

    until(lambda: total(api) == 1)
    (responses,) = until(lambda: [one for one in answers_to(cloudflare, made["id"]) if one[-1:] == [200]])
    assert all(isinstance(one, int) and one >= 500 for one in responses[:-1])
    assert len(responses) > 1


# ---------------------------------------------------------------- starts


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "drop"},
        {"kind": "answer", "status": 502, "body": "html"},
        {"kind": "answer", "status": 200, "body": "empty"},
    ],
    ids=["dropped", "502", "empty"],
)
def test_a_start_whose_answer_is_lost_is_one_recording(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, how: Json
) -> None:
    room = a_room(api)
    fault(cloudflare, "start", times=1, effect=True, **how)

    recording_id = start(api)

    made = only(cloudflare, room)
    assert get(api, recording_id)["origin"] == "api"
    assert tallies(api)["all"] == 1
    stop(api)
    check_whole(running, api, cloudflare, recording_id, made["id"])
    assert api.get("/recordings").json()["meta"]["total"] == 1


@pytest.mark.parametrize("status", [409, 400, 422])
@pytest.mark.parametrize("late", [False, True], ids=["seen", "unseen"])
def test_a_room_that_cloudflare_records_by_itself_is_refused_with_the_recording_named(
    api: httpx.Client, cloudflare: httpx.Client, status: int, late: bool
) -> None:
    settle(cloudflare, webhooks=False, already_recording_status=status)
    room = a_room(api)
    cloudflare.post("/auto-start", json={"meeting_id": room["cloudflare_meeting_id"]}).raise_for_status()
    until(lambda: only(cloudflare, room)["status"] == "RECORDING")
    if late:
        # It begins between our look and our start.
        fault(cloudflare, "active", "answer", status=404, times=1)

    response = api.post("/rooms/room_1/recordings/start")

    assert (response.status_code, response.json()["code"]) == (409, "room_already_recording"), response.text
    blocker = response.json()["recording"]
    assert blocker.keys() == {"id", "status", "started_at", "origin"}
    assert (blocker["status"], blocker["origin"]) == ("recording", "auto")
    assert get(api, blocker["id"])["started_at"] == blocker["started_at"]
    assert len(provider_recordings(cloudflare, room["cloudflare_meeting_id"])) == 1
    assert tallies(api)["all"] == 1
    assert api.post("/rooms/room_1/recordings/stop").json()["data"]["id"] == blocker["id"]


# ---------------------------------------------------------------- the provider is down

DOWN: dict[str, tuple[Json, int, str, str | None]] = {
    "broken": ({"kind": "answer", "status": 502, "body": "html"}, 502, "provider_error", None),
    "unsuccessful": ({"kind": "answer", "body": "unsuccessful"}, 502, "provider_error", None),
    "limited": ({"kind": "answer", "status": 429, "body": "errors", "retry_after": 7}, 503, "provider_throttled", "7"),
    "limited silently": ({"kind": "answer", "status": 429, "body": "errors"}, 503, "provider_throttled", "300"),
    "dropped": ({"kind": "drop"}, 504, "provider_timeout", None),
    # What comes at last changes nothing any more.
    "slow": ({"kind": "delay", "seconds": 120}, 504, "provider_timeout", None),
}


def check_down(response: httpx.Response, how: str) -> None:
    _, status, code, after = DOWN[how]
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().keys() == {"type", "title", "status", "code", "detail", "request_id"}
    assert response.headers.get("retry-after") == after


@pytest.mark.parametrize("how", DOWN)
def test_while_cloudflare_is_down_nothing_is_half_done_and_afterwards_everything_works(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, how: str
) -> None:
    facts = DOWN[how][0]
    only_here: Json = {}

    def down(call: Callable[[], httpx.Response]) -> None:
        # Not for runs that other tests have left: they would block the calls of all once more, after all is calm.
        fault(cloudflare, "api" if only_here else "create_meeting", **facts, **only_here)
        check_down(call(), how)
        calm(running, cloudflare)

    if how != "slow":
        down(lambda: api.put("/rooms/room_1", json={"name": "x"}))
    assert api.get("/rooms").json()["data"] == []
    room = a_room(api)
    only_here["meeting_id"] = room["cloudflare_meeting_id"]

    down(lambda: api.post("/rooms/room_1/recordings/start"))
    assert tallies(api)["all"] == 0
    assert provider_recordings(cloudflare, room["cloudflare_meeting_id"]) == []
    recording_id = start(api)

    before = get(api, recording_id)
    if how != "slow":
        down(lambda: api.post("/rooms/room_1/recordings/sync"))
    down(lambda: api.post("/rooms/room_1/recordings/stop"))
    # That it is to be stopped is kept. Who asks again does it, as a webhook that comes before and the next sync do.
    assert get(api, recording_id)["version"] > before["version"]
    again = api.post("/rooms/room_1/recordings/stop")
    assert again.status_code == 200 or again.json()["code"] == "no_active_recording", again.text
    check_whole(running, api, cloudflare, recording_id, only(cloudflare, room)["id"])


@pytest.mark.parametrize(
    "facts", [{"kind": "drop"}, {"kind": "answer", "status": 500}, {"kind": "answer", "status": 429}]
)
def test_a_start_that_cloudflare_never_took_can_be_made_again(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, facts: Json
) -> None:
    room = a_room(api)
    fault(cloudflare, "start", times=1, **facts)

    failed = api.post("/rooms/room_1/recordings/start")

    assert failed.status_code in {502, 503, 504}, failed.text
    assert api.get("/rooms/room_1").json()["data"]["active_recording_id"] is None
    assert total(api) == 0
    calm(running, cloudflare)
    start(api)
    assert len(provider_recordings(cloudflare, room["cloudflare_meeting_id"])) == 1


# ---------------------------------------------------------------- the key; last, for it makes webhooks late for a while


def test_a_new_webhook_key_is_learned_and_nothing_is_lost_meanwhile(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    recording_id = start(api)
    made = only(cloudflare, room)
    cloudflare.post("/rotate-webhook-key").raise_for_status()

    stop(api)

    check_whole(running, api, cloudflare, recording_id, made["id"])

    def taken() -> bool:
        mark = uuid.uuid4().hex
        body = hook(made["id"], room["cloudflare_meeting_id"], "UPLOADED", mark)
        cloudflare.post("/webhooks/forge", json={"body": body}).raise_for_status()
        return bool(until(lambda: [one for one in answers_to(cloudflare, mark) if one])[0][-1] == 200)

    until(taken, every=2)
