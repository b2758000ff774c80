"""Odd rows and bad news of Cloudflare: nobody else is held up, and nothing is given up before its time."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.support import (
    Json,
    a_room,
    free_the_sync,
    get,
    in_status,
    lose_unfinished,
    make,
    provider_recordings,
    settle,
    start,
    stop,
    sync,
    sync_all,
    until,
)

# Of a recording that is UPLOADED: what its row tells, and whether its file is ours in the end.
ODD: list[tuple[Json, str]] = [
    ({"started_time": "0001-01-01T00:00:00+05:00", "stopped_time": "10000-01-01T00:00:00Z"}, "ready"),
    ({"download_url_expiry": "0001-01-01T00:00:00Z"}, "ready"),
    ({"recording_duration": -1731660518, "session_id": 7, "output_file_name": ["a.mp4"]}, "ready"),
    ({"recording_duration": 10**18, "download_url_expiry": "1970-01-01T05:30:00+05:30", "meeting": "odd"}, "ready"),
    ({"download_url": ["https://example.com/a.webm", "https://example.com/b.webm"]}, "failed"),
]
WITHOUT_ID: list[Any] = [
    {"status": "UPLOADED", "invoked_time": "2026-09-01T10:00:00Z"},
    {"id": None, "status": "UPLOADED", "invoked_time": "2026-09-01T10:00:00Z"},
    {"id": 7},
    "no row at all",
    None,
]


CHANGED: set[str] = set()


@pytest.fixture(autouse=True)
def tidy(running: Json, cloudflare: httpx.Client) -> Iterator[None]:
    """No lie outlives its test."""
    lose_unfinished(cloudflare)
    free_the_sync(running)
    yield
    cloudflare.delete("/rows").raise_for_status()
    for cloudflare_recording_id in [*CHANGED]:
        change(cloudflare, cloudflare_recording_id, raw={}, raw_in=["start", "get", "list", "active"], hidden=[])
        cloudflare.post(f"/recordings/{cloudflare_recording_id}/end").raise_for_status()
    CHANGED.clear()
    lose_unfinished(cloudflare)


def change(cloudflare: httpx.Client, cloudflare_recording_id: str, **facts: Any) -> None:
    cloudflare.patch(f"/recordings/{cloudflare_recording_id}", json=facts).raise_for_status()
    CHANGED.add(cloudflare_recording_id)


def only(cloudflare: httpx.Client, room: Json) -> Json:
    (made,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
    return made


def test_odd_rows_hold_up_neither_their_rooms_sync_nor_everybodys(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    settle(cloudflare, webhooks=False)
    room, other = a_room(api), a_room(api, "room_2")
    meeting_id = room["cloudflare_meeting_id"]
    wanted = {make(cloudflare, meeting_id)["id"]: "ready"}
    for raw, right in ODD:
        cloudflare_recording_id = make(cloudflare, meeting_id)["id"]
        change(cloudflare, cloudflare_recording_id, raw=raw)
        wanted[cloudflare_recording_id] = right
    for row in WITHOUT_ID:
        cloudflare.post("/rows", json={"row": row, "meeting_id": meeting_id}).raise_for_status()

    rows = sync(api)["recordings"]

    assert sorted(row["status"] for row in rows) == ["failed", *["processing"] * (len(wanted) - 1)]
    for row in rows:
        found = in_status(api, row["id"], "ready") if row["status"] == "processing" else get(api, row["id"])
        # The file runs for two seconds, whatever Cloudflare says.
        assert (found["duration_seconds"], found["partial"]) == (2 if found["status"] == "ready" else None, False)
        assert found["status"] == "ready" or found["failure"]["code"] == "track_recording"
    assert sync(api)["synced_count"] == 0

    # Of a status that nobody knows it is no news that it has ended: it is looked at again.
    unclear = make(cloudflare, other["cloudflare_meeting_id"])["id"]
    change(cloudflare, unclear, raw={"status": ["UPLOADED"]})
    sync_all(running)
    (row,) = api.get("/recordings", params={"room_id": "room_2"}).json()["data"]
    assert row["status"] == "recording"
    change(cloudflare, unclear, raw={})
    sync_all(running)
    in_status(api, row["id"], "ready")


def test_a_recording_that_reads_do_not_show_yet_goes_on(
    running: Json, api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    recording_id = start(api)
    cloudflare_recording_id = only(cloudflare, room)["id"]
    change(cloudflare, cloudflare_recording_id, hidden=["get", "list", "active"])
    assert sync(api)["synced_count"] == 0
    change(cloudflare, cloudflare_recording_id, hidden=[])

    sync_all(running)

    assert (get(api, recording_id)["status"], only(cloudflare, room)["status"]) == ("recording", "RECORDING")
    stop(api)
    in_status(api, recording_id, "ready")


def test_what_cloudflare_never_shows_again_is_failed_when_it_was_looked_at_twice(
    api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    recording_id = start(api)
    change(cloudflare, only(cloudflare, room)["id"], hidden=["get", "list", "active"])
    assert sync(api)["synced_count"] == 0

    until(lambda: sync(api)["synced_count"] == 1, every=2)

    found = get(api, recording_id)
    assert (found["status"], found["failure"]["code"]) == ("failed", "capture_failed")
    assert api.get("/rooms/room_1").json()["data"]["active_recording_id"] is None
    change(cloudflare, only(cloudflare, room)["id"], hidden=[])
    assert sync(api)["synced_count"] == 0
    assert only(cloudflare, room)["status"] == "RECORDING"


def test_a_url_that_comes_after_the_end_was_told_is_waited_for(api: httpx.Client, cloudflare: httpx.Client) -> None:
    settle(cloudflare, own_bucket="ignore", upload_seconds=3600)
    room = a_room(api)
    recording_id = start(api)
    stop(api)
    cloudflare_recording_id = only(cloudflare, room)["id"]
    # Whoever looks first, a webhook or the run, sees no URL; nor does the next one.
    lies: Json = {"download_url": None, "download_url_expiry": None}
    change(cloudflare, cloudflare_recording_id, raw=[lies, lies, {}], raw_in=["get"])

    cloudflare.post(f"/recordings/{cloudflare_recording_id}/status", json={"status": "UPLOADED"}).raise_for_status()

    assert in_status(api, recording_id, "ready")["partial"] is False
