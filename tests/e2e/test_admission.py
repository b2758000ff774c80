"""What the download URL of an UPLOADED recording may answer, and what the recording is then: over HTTP."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    a_room,
    client_of,
    downloaded,
    get,
    keys,
    make,
    scanned,
    sync,
    until,
)
from tools.local import stack

PAGE = "<!doctype html><html><head><title>Sign in</title></head><body>please</body></html>"
ERROR = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'
ALWAYS: Json = {"times": None}
# What the file's URL answers; `half` is the first half of the file.
NO_MEDIA: dict[str, list[Json]] = {
    "page": [{"body": PAGE, "headers": {"Content-Type": "text/html"}} | ALWAYS],
    "json": [{"body": '{"success": false, "errors": [{"code": 10000}]}'} | ALWAYS],
    "xml": [{"body": ERROR, "headers": {"Content-Type": "application/xml"}} | ALWAYS],
    "nothing": [{"body": ""} | ALWAYS],
}
HALF: Json = {"first_bytes": 8000}
WHOLE: dict[str, list[Json]] = {
    "total unknown": [{"total_known": False} | ALWAYS],
    "weak once": [{}, {"weak_etag": True}, {}, {"weak_etag": True}],
    "page first": [{"body": PAGE}],
    "half first": [HALF],
}
CASES = {**NO_MEDIA, "half": [HALF | ALWAYS], **WHOLE}
# The attempts after which the next one is the last: MaxAttempts for what is no media, and for what is short.
LAST_BUT_ONE = {**dict.fromkeys(NO_MEDIA, 11), "half": 5}


@dataclass(frozen=True)
class Admitted:
    """Our id of each case, and what the stand-in knows of it."""

    api: httpx.Client
    ids: dict[str, str]
    made: dict[str, Json]
    # What each one was that had been refused once.
    refused: dict[str, Json]


@pytest.fixture(scope="module")
def admitted(running: Json) -> Iterator[Admitted]:
    """All cases at once, each to its end."""
    with (
        client_of(running, f"tenant-{uuid.uuid4().hex[:12]}") as api,
        httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as control,
    ):
        room = a_room(api)
        made: dict[str, Json] = {}
        for name, responses in CASES.items():
            one = make(control, room["cloudflare_meeting_id"], age_seconds=60 + 60 * len(made), seconds=2)
            lies: dict[str, Any] = {"answers": responses, "answers_each": "request" if name == "weak once" else "look"}
            if name in NO_MEDIA or name == "page first":
                lies["announced"] = {"size": None}
            control.patch(f"/recordings/{one['id']}", json=lies).raise_for_status()
            made[name] = one
        assert sync(api)["synced_count"] == len(made)
        rows = api.get("/recordings", params={"limit": 100}).json()["data"]
        ids = {name: row["id"] for name, row in zip(made, rows, strict=True)}

        def decided(name: str) -> Json | None:
            found = get(api, ids[name])
            waits = (found["progress"] or {}).get("step") == "waiting_for_next_attempt"
            return found if found["status"] != "processing" or waits else None

        refused = {}
        for name in CASES:
            found = until(lambda name=name: decided(name))  # type: ignore[misc]
            assert found is not None
            if found["status"] == "processing":
                refused[name] = found
        for name, attempts in LAST_BUT_ONE.items():
            age(running, ids[name], attempts)

        def ended() -> bool:
            sync(api)
            return all(get(api, one)["status"] in {"ready", "failed"} for one in ids.values())

        until(ended)
        yield Admitted(api, ids, made, refused)


def age(running: Json, recording_id: str, attempts: int) -> None:
    """So many attempts lie behind it: nobody waits for days."""
    dynamo = stack.client(running, "dynamodb")
    (table,) = running["tables"].values()
    (item,) = [
        row for row in scanned(running, of=recording_id) if row["sk"] == {"S": recording_id} and "history" in row
    ]
    dynamo.update_item(
        TableName=table,
        Key={"pk": item["pk"], "sk": item["sk"]},
        UpdateExpression="SET automatic_attempts = :attempts",
        ExpressionAttributeValues={":attempts": {"N": str(attempts)}},
    )


@pytest.mark.parametrize("name", NO_MEDIA)
def test_what_is_no_media_is_tried_again_and_then_failed(running: Json, admitted: Admitted, name: str) -> None:
    found = get(admitted.api, admitted.ids[name])
    assert (found["status"], found["failure"]["code"]) == ("failed", "file_invalid")
    assert [entry["status"] for entry in found["history"]] == ["recording", "processing", "failed"]
    progress = admitted.refused[name]["progress"]
    assert progress["next_step_due"] is not None
    (key,) = keys(running, "r2", admitted.ids[name])
    assert key.startswith("quarantine/")
    response = admitted.api.get(f"/recordings/{admitted.ids[name]}/download")
    assert (response.status_code, response.json()["code"]) == (409, "recording_failed")


def test_half_of_what_was_announced_is_a_part_in_the_end(running: Json, admitted: Admitted) -> None:
    found = get(admitted.api, admitted.ids["half"])
    assert (found["status"], found["partial"], found["size_bytes"]) == ("ready", True, 8000)
    assert len(keys(running, "r2", admitted.ids["half"])) == 1


@pytest.mark.parametrize("name", WHOLE)
def test_what_comes_whole_is_whole(running: Json, admitted: Admitted, name: str) -> None:
    found, made = get(admitted.api, admitted.ids[name]), admitted.made[name]
    assert (found["status"], found["partial"], found["size_bytes"]) == ("ready", False, made["size"])
    assert downloaded(admitted.api, admitted.ids[name]) == made["sha256"]
    assert len(keys(running, "r2", admitted.ids[name])) == 1
    assert (name in admitted.refused) == name.endswith("first")
