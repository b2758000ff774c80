"""Every operation on a recording in every status: the exact answer, and what it changed."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    client_of,
    hold_archiving,
    imported,
    in_archive,
    in_status,
    keys,
    lose_unfinished,
    make,
    run_archiving,
    scanned,
    settle,
    start,
    stop,
    sync,
    tallies,
    until,
)

TENANT = f"tenant-{uuid.uuid4().hex[:12]}"
STATES = ("recording", "processing", "ready", "moving", "stored", "restored", "failed", "deleted")
OPERATIONS: dict[str, tuple[str, str]] = {
    "stop": ("POST", "/rooms/{room}/recordings/stop"),
    "archive": ("POST", "/recordings/{id}/archive"),
    "recover": ("POST", "/recordings/{id}/recover"),
    "restore": ("POST", "/recordings/{id}/restore"),
    "delete": ("DELETE", "/recordings/{id}"),
    "undelete": ("POST", "/recordings/{id}/undelete"),
    "download": ("GET", "/recordings/{id}/download"),
    "get": ("GET", "/recordings/{id}"),
}
VIEW = {
    "id", "room_id", "room", "status", "duration_seconds", "size_bytes", "started_at", "stopped_at", "created_at",
    "archived_at", "provider", "failure", "origin", "version", "partial", "progress", "archive", "archive_error",
    "history",
}  # fmt: skip
LINK = {"recording_id", "download_url", "status", "duration", "file_size", "provider", "expires_at"}
WAIT = {"recording_id", "status", "message"}
PROBLEM = {"type", "title", "status", "code", "detail", "request_id"}

# (status, code of a refusal) for each state in the order of STATES; a 2xx has no code.
NOT_FOUND = (404, "recording_not_found")
ANSWERS: dict[str, tuple[tuple[int, str], ...]] = {
    "stop": ((200, ""), *[(404, "no_active_recording")] * 7),
    "archive": (
        *[(400, "recording_not_archivable")] * 2, (200, ""), *[(400, "recording_not_archivable")] * 4, NOT_FOUND,
    ),
    "recover": (
        (400, "recording_not_recoverable"), (200, ""), *[(400, "recording_not_recoverable")] * 5, NOT_FOUND,
    ),
    "restore": (
        *[(400, "recording_not_archived")] * 4, (202, ""), (202, ""), (400, "recording_not_archived"), NOT_FOUND,
    ),
    "delete": ((409, "recording_in_progress"), *[(200, "")] * 6, NOT_FOUND),
    "undelete": ((200, ""),) * 8,
    "download": (
        (202, ""), (202, ""), (200, ""), (200, ""), (202, ""), (200, ""), (409, "recording_failed"), NOT_FOUND,
    ),
    "get": ((200, ""),) * 7 + (NOT_FOUND,),
}  # fmt: skip
KEYS: dict[str, set[str]] = {
    "stop": {"id", "room_id", "status", "stopped_at"},
    "archive": {"id", "status", "archived_at"},
    "recover": {"id", "status", "message"},
    "restore": {"id", "status", "archive"},
    "delete": {"id", "deleted", "deleted_at"},
    "undelete": {"id", "deleted", "status"},
    "get": VIEW,
}
# What an accepted operation changes; all others only read.
CHANGING = {
    ("stop", "recording"), ("archive", "ready"), ("recover", "processing"), ("undelete", "deleted"),
    ("restore", "stored"), ("restore", "restored"),
    *(("delete", state) for state in ("processing", "ready", "moving", "stored", "restored", "failed")),
}  # fmt: skip
PAIRS = [(operation, state) for operation in OPERATIONS for state in STATES]
STAYING = [pair for pair in PAIRS if pair not in CHANGING]

type Place = tuple[str, str]


@pytest.fixture(scope="module")
def owner(running: Json) -> Iterator[httpx.Client]:
    with client_of(running, TENANT) as made:
        yield made


@pytest.fixture(scope="module")
def places(running: Json, owner: httpx.Client) -> Iterator[dict[str, Place]]:
    """A room and its recording for each state, and one more for each pair that changes something."""
    wanted = [(state, state) for state in STATES] + [(f"{op} {state}", state) for op, state in sorted(CHANGING)]
    with httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as cloudflare:
        try:
            yield _made(running, owner, cloudflare, wanted)
        finally:
            cloudflare.delete("/faults")
            lose_unfinished(cloudflare)


def _made(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, wanted: list[tuple[str, str]]
) -> dict[str, Place]:
    """All at once, because each waits for a workflow."""
    found: dict[str, Place] = {}
    for name, state in wanted:
        room_id = name.replace(" ", "-")
        response = api.put(f"/rooms/{room_id}", json={"name": name})
        assert response.status_code == 201, response.text
        room = response.json()["data"]
        if state in ("recording", "processing"):
            found[name] = room_id, start(api, room_id)
        elif state == "failed":
            make(cloudflare, room["cloudflare_meeting_id"], status="ERRORED")
            (row,) = sync(api, room_id)["recordings"]
            found[name] = room_id, row["id"]
        else:
            found[name] = room_id, imported(api, cloudflare, room)[0]
    settle(cloudflare, stall_in="UPLOADING")
    for name, state in wanted:
        if state == "processing":
            stop(api, found[name][0])
    _finish(running, api, found, wanted)
    return found


def _finish(running: Json, api: httpx.Client, found: dict[str, Place], wanted: list[tuple[str, str]]) -> None:
    """Bring the imported recordings into their states, one step of all of them after the other."""
    later: dict[str, Callable[[str], Any]] = {
        "ready": lambda _: None,
        "moving": lambda id: hold_archiving(running, id),
        "stored": lambda _: None,
        "restored": lambda _: None,
        "deleted": lambda id: api.delete(f"/recordings/{id}").raise_for_status(),
    }
    for name, state in wanted:
        if state in later:
            in_status(api, found[name][1], "ready")
            later[state](found[name][1])
        if state in ("moving", "stored", "restored"):
            api.post(f"/recordings/{found[name][1]}/archive").raise_for_status()
    for name, state in wanted:
        if state in ("stored", "restored"):
            in_archive(api, found[name][1], "stored")
        if state == "restored":
            api.post(f"/recordings/{found[name][1]}/restore", json={"days": 2}).raise_for_status()
    for name, state in wanted:
        if state == "restored":
            in_archive(api, found[name][1], "restored")


def ask(api: httpx.Client, operation: str, place: Place) -> httpx.Response:
    method, path = OPERATIONS[operation]
    return api.request(method, path.format(room=place[0], id=place[1]))


def kept(running: Json, recording_id: str) -> list[Json]:
    """The rows of a recording. Its run's progress, and who was given URLs until when, are no change of it."""
    rows = scanned(running, of=recording_id)
    return [
        {key: value for key, value in row.items() if key not in {"progress", "task_token"}}
        for row in rows
        if "TOKEN" not in json.dumps(row) and not re.search("^PARTS#|#URLS|#ACCESS#", row["pk"]["S"])
    ]


def everything(api: httpx.Client) -> Json:
    """Every row of the list, with their number."""
    page: Json = api.get("/recordings", params={"limit": 100}).json()
    assert page["meta"]["total"] == len(page["data"])
    return page


def check(response: httpx.Response, operation: str, state: str, place: Place) -> None:
    """The answer is the contract's, down to the keys of its body."""
    status, code = ANSWERS[operation][STATES.index(state)]
    body = response.json()
    assert response.status_code == status, response.text
    assert response.headers["x-request-id"]
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert body["code"] == code
        assert body.keys() == PROBLEM
        assert (body["status"], body["request_id"]) == (status, response.headers["x-request-id"])
        assert body["detail"]
        return
    assert response.headers["content-type"].startswith("application/json")
    if operation == "download":
        assert body.keys() == (LINK if status == 200 else WAIT)
        assert body["recording_id"] == place[1]
        if status == 200:
            assert body["provider"] == ("s3" if state == "restored" else "r2")
        else:
            assert body["status"] == ("archived" if state == "stored" else "processing")
            assert state == "stored" or int(response.headers["retry-after"]) > 0
        return
    assert body.keys() == {"data"}
    assert body["data"].keys() == KEYS[operation]
    assert body["data"]["id"] == place[1]


@pytest.mark.parametrize(("operation", "state"), STAYING)
def test_what_reads_or_is_refused_answers_exactly_and_changes_nothing(
    running: Json, owner: httpx.Client, places: dict[str, Place], operation: str, state: str
) -> None:
    place = places[state]
    before, listed, seen = kept(running, place[1]), everything(owner), owner.get(f"/recordings/{place[1]}").json()

    response = ask(owner, operation, place)

    check(response, operation, state, place)
    assert kept(running, place[1]) == before
    assert everything(owner) == listed
    now = owner.get(f"/recordings/{place[1]}").json()
    if state == "deleted":
        assert (now["code"], seen["code"]) == ("recording_not_found", "recording_not_found")
    else:
        assert now["data"] | {"progress": None} == seen["data"] | {"progress": None}


@pytest.mark.parametrize(("operation", "state"), sorted(CHANGING))
def test_what_is_accepted_answers_exactly_and_changes_one_thing_once(
    owner: httpx.Client, places: dict[str, Place], operation: str, state: str
) -> None:
    place = places[f"{operation} {state}"]
    counted = tallies(owner)
    before = owner.get(f"/recordings/{place[1]}")

    response = ask(owner, operation, place)

    check(response, operation, state, place)
    after = owner.get(f"/recordings/{place[1]}")
    change = {name: number - counted[name] for name, number in tallies(owner).items() if number != counted[name]}
    if operation == "delete":
        shown = "archived" if state in ("moving", "stored", "restored") else state
        assert after.status_code == 404
        assert change == {"all": -1, shown: -1}
        assert ask(owner, "undelete", place).json()["data"] == {"id": place[1], "deleted": False, "status": shown}
        again = owner.get(f"/recordings/{place[1]}").json()["data"]
        same = {"version", "progress"}
        assert {k: v for k, v in again.items() if k not in same} == {
            k: v for k, v in before.json()["data"].items() if k not in same
        }
        assert tallies(owner) == counted
        return
    found = after.json()["data"]
    match operation:
        case "stop":
            assert (found["status"], change) == ("processing", {"recording": -1, "processing": 1})
            assert response.json()["data"]["stopped_at"] == found["stopped_at"]
        case "archive":
            assert (found["status"], change) == ("archived", {"ready": -1, "archived": 1})
            assert response.json()["data"]["archived_at"] == found["archived_at"]
        case "undelete":
            assert (found["status"], change) == ("ready", {"all": 1, "ready": 1})
        case "recover":
            assert response.json()["data"]["message"] == "Recovery initiated. Recording will be reprocessed."
            assert (found["status"], change) == ("processing", {})
            assert found["version"] == before.json()["data"]["version"] + 1
        case "restore":
            assert (found["status"], change) == ("archived", {})
            wanted = "restoring" if state == "stored" else "restored"
            assert response.json()["data"]["archive"]["state"] == wanted
    assert len({json.dumps(entry) for entry in found["history"]}) == len(found["history"])


def test_a_second_delete_and_a_second_stop_find_nothing(owner: httpx.Client, places: dict[str, Place]) -> None:
    place = places["delete failed"]
    assert ask(owner, "delete", place).status_code == 200
    assert ask(owner, "delete", place).json()["code"] == "recording_not_found"
    assert ask(owner, "undelete", place).json()["data"]["status"] == "failed"
    ask(owner, "stop", places["stop recording"])
    assert ask(owner, "stop", places["stop recording"]).json()["code"] == "no_active_recording"


def test_a_restore_that_runs_is_answered_the_same_again(
    running: Json, owner: httpx.Client, cloudflare: httpx.Client
) -> None:
    response = owner.put("/rooms/restored-twice", json={"name": "restored twice"})
    recording_id, _ = imported(owner, cloudflare, response.json()["data"])
    in_status(owner, recording_id, "ready")
    owner.post(f"/recordings/{recording_id}/archive").raise_for_status()
    in_archive(owner, recording_id, "stored")

    first = owner.post(f"/recordings/{recording_id}/restore", json={"days": 1, "tier": "bulk"})
    second = owner.post(f"/recordings/{recording_id}/restore", json={"days": 1, "tier": "bulk"})

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["data"]["archive"]["state"] == "restoring"
    if second.json()["data"]["archive"]["state"] == "restoring":
        assert second.json() == first.json()


def test_a_recording_deleted_while_it_moves_goes_on_to_cold_storage_and_stays_deleted(
    running: Json, owner: httpx.Client, cloudflare: httpx.Client
) -> None:
    response = owner.put("/rooms/deleted-on-the-way", json={"name": "deleted on the way"})
    recording_id, _ = imported(owner, cloudflare, response.json()["data"])
    in_status(owner, recording_id, "ready")
    hold_archiving(running, recording_id)
    owner.post(f"/recordings/{recording_id}/archive").raise_for_status()
    owner.delete(f"/recordings/{recording_id}").raise_for_status()
    counted = tallies(owner)

    run_archiving(running, TENANT, recording_id)

    until(lambda: not keys(running, "r2", recording_id))
    assert len(keys(running, "s3", recording_id)) == 1
    assert owner.get(f"/recordings/{recording_id}").status_code == 404
    assert tallies(owner) == counted
    owner.post(f"/recordings/{recording_id}/undelete").raise_for_status()
    assert in_archive(owner, recording_id, "stored")["status"] == "archived"
