"""Lists: exact totals, pages that are slices of the whole, and walks that miss nothing while things change."""

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    a_room,
    client_of,
    instant,
    lose_unfinished,
    make,
    start,
    stop,
    sync,
    total,
)

DAY = 86_400
TENANT_ROOMS = {"room_1": 14, "room_2": 9}


def page(api: httpx.Client, **query: Any) -> Json:
    response = api.get("/recordings", params=query)
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def walk(api: httpx.Client, limit: int, **filters: Any) -> Iterator[Json]:
    """The rows of every page, by cursor."""
    found = page(api, limit=limit, **filters)
    while True:
        assert len(found["data"]) <= limit
        yield from found["data"]
        if found["meta"]["next_cursor"] is None:
            return
        found = page(api, limit=limit, cursor=found["meta"]["next_cursor"], **filters)


@pytest.fixture(scope="module")
def spread(running: Json) -> Iterator[tuple[httpx.Client, list[Json]]]:
    """Two rooms with lost, unfinished and running recordings over many days, newest first."""

    with (
        client_of(running, f"tenant-{uuid.uuid4().hex[:12]}") as api,
        httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as cloudflare,
    ):
        for room_id, count in TENANT_ROOMS.items():
            meeting = a_room(api, room_id)["cloudflare_meeting_id"]
            # Several a day, some at the same second as others in the other room.
            make(cloudflare, meeting, count=count, status="ERRORED", age_seconds=7200, apart_seconds=DAY / 3)
            make(cloudflare, meeting, count=2, status="UPLOADING", age_seconds=3 * DAY, apart_seconds=DAY)
            assert sync(api, room_id)["synced_count"] == count + 2
        start(api, "room_1")
        whole = page(api, limit=100)["data"]
        assert len(whole) == sum(TENANT_ROOMS.values()) + 4 + 1
        yield api, whole
        stop(api, "room_1")
        lose_unfinished(cloudflare)


def fitting(whole: list[Json], query: dict[str, Any]) -> list[Json]:
    """The rows that filters ask for, chosen by hand."""
    statuses = query.get("status")
    wanted = [statuses] if isinstance(statuses, str) else statuses
    after, before = query.get("created_after"), query.get("created_before")
    return [
        row
        for row in whole
        if query.get("room_id") in (None, row["room_id"])
        and (not wanted or row["status"] in wanted)
        and (not after or instant(row["created_at"]) > instant(after))
        and (not before or instant(row["created_at"]) < instant(before))
    ]


def filters(whole: list[Json]) -> list[dict[str, Any]]:
    """Filters alone and together, with the bounds on a recording, beside one, at midnight and with an offset."""
    middle = whole[len(whole) // 2]["created_at"]
    late, early = whole[3]["created_at"], whole[-4]["created_at"]
    beside = (instant(middle) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    midnight = f"{middle[:10]}T00:00:00Z"
    abroad = f"{middle[:10]}T00:00:00+02:00"
    return [
        {},
        {"room_id": "room_1"},
        {"room_id": "room_2"},
        {"room_id": "room_unknown"},
        {"status": "failed"},
        {"status": "recording"},
        {"status": ["processing", "recording"]},
        {"status": ["recording", "processing", "ready", "archived", "failed"]},
        {"status": "ready"},
        {"created_after": middle},
        {"created_before": middle},
        {"created_after": beside},
        {"created_before": beside},
        {"created_after": midnight},
        {"created_before": midnight},
        {"created_after": abroad},
        {"created_after": early, "created_before": late},
        {"created_after": late, "created_before": early},
        {"room_id": "room_2", "created_after": early, "created_before": late},
        {"room_id": "room_1", "status": "failed"},
        {"room_id": "room_1", "status": ["failed", "processing"], "created_after": early, "created_before": late},
        {"status": "failed", "created_before": "2000-01-01T00:00:00Z"},
    ]


def test_the_whole_is_newest_first_and_spread_over_days(spread: tuple[httpx.Client, list[Json]]) -> None:
    _, whole = spread
    order = [(row["created_at"], row["id"]) for row in whole]
    assert order == sorted(order, reverse=True)
    assert len({row["created_at"][:10] for row in whole}) >= 5
    assert {row["status"] for row in whole} == {"recording", "processing", "failed"}


def test_every_filter_gives_exactly_its_rows_and_their_number(spread: tuple[httpx.Client, list[Json]]) -> None:
    api, whole = spread
    for query in filters(whole):
        wanted = fitting(whole, query)
        found = page(api, limit=100, **query)
        assert found["data"] == wanted, query
        assert found["meta"]["total"] == len(wanted), query


def test_offset_pages_are_slices_of_the_whole_for_every_filter(spread: tuple[httpx.Client, list[Json]]) -> None:
    api, whole = spread
    for query in filters(whole):
        wanted = fitting(whole, query)
        for offset in (0, 4, max(0, len(wanted) - 2), len(wanted)):
            found = page(api, limit=4, offset=offset, **query)
            assert found["data"] == wanted[offset : offset + 4], (query, offset)
            assert (found["meta"]["total"], found["meta"]["offset"], found["meta"]["limit"]) == (
                len(wanted), offset, 4,
            )  # fmt: skip


def test_cursor_pages_together_are_the_whole_for_every_filter(spread: tuple[httpx.Client, list[Json]]) -> None:
    api, whole = spread
    for query in filters(whole):
        assert [*walk(api, 7, **query)] == fitting(whole, query), query


def test_a_deleted_recording_leaves_every_total_and_comes_back_into_it(
    spread: tuple[httpx.Client, list[Json]],
) -> None:
    api, whole = spread
    row = next(row for row in whole if row["status"] == "failed")
    queries: list[dict[str, Any]] = [
        {}, {"room_id": row["room_id"]}, {"status": "failed"}, {"created_after": whole[-1]["created_at"]},
    ]  # fmt: skip
    before = [total(api, **query) for query in queries]

    assert api.delete(f"/recordings/{row['id']}").status_code == 200
    without = [total(api, **query) for query in queries]
    assert row not in page(api, limit=100)["data"]
    assert api.post(f"/recordings/{row['id']}/undelete").status_code == 200

    assert without == [number - 1 for number in before]
    assert [total(api, **query) for query in queries] == before
    assert page(api, limit=100)["data"] == whole


def test_a_walk_shows_what_existed_throughout_once_while_others_come_and_go(
    api: httpx.Client, cloudflare: httpx.Client
) -> None:
    room = a_room(api)
    meeting = room["cloudflare_meeting_id"]
    make(cloudflare, meeting, count=60, status="ERRORED", age_seconds=3600, apart_seconds=3600)
    assert sync(api)["synced_count"] == 60
    ids = [row["id"] for row in page(api, limit=100)["data"]]
    fleeting = set(ids[2::6])
    lasting = [id for id in ids if id not in fleeting]
    over = threading.Event()
    broken: list[str] = []

    def disturb() -> None:
        """Delete and bring back some, and let new ones come before, between and after the others."""
        number = 0
        while not over.is_set():
            number += 1
            for id in sorted(fleeting):
                broken.extend(a.text for a in [api.delete(f"/recordings/{id}")] if a.is_server_error)
            make(cloudflare, meeting, count=2, status="ERRORED", age_seconds=100 + 1800 * number, apart_seconds=7000)
            broken.extend(a.text for a in [api.post("/rooms/room_1/recordings/sync")] if a.is_server_error)
            for id in sorted(fleeting):
                broken.extend(a.text for a in [api.post(f"/recordings/{id}/undelete")] if a.is_server_error)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        walks = [[row["id"] for row in walk(api, limit)] for limit in (3, 7, 5)]
    finally:
        over.set()
        disturber.join()

    assert broken == []
    for seen in walks:
        assert len(seen) == len(set(seen))
        assert [id for id in seen if id in set(lasting)] == lasting
    left = [row["id"] for row in walk(api, 100)]
    assert total(api) == len(left) > 60
    assert fleeting <= set(left)


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"}, {"cursor": ""}, {"status": "gone"}, {"created_after": "yesterday"},
        {"created_before": "2026-01-06T10:30:00"}, {"room_id": ""}, {"limit": "1.5"}, {"status": ["ready", "READY"]},
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused_by_name(api: httpx.Client, query: dict[str, Any]) -> None:
    response = api.get("/recordings", params=query)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request"), response.text
    assert [error["field"].split("[")[0] for error in response.json()["errors"]] == [*query]


def test_a_cursor_and_an_offset_together_are_refused(api: httpx.Client, cloudflare: httpx.Client) -> None:
    make(cloudflare, a_room(api)["cloudflare_meeting_id"], count=2, status="ERRORED")
    sync(api)
    cursor = page(api, limit=1)["meta"]["next_cursor"]

    response = api.get("/recordings", params={"cursor": cursor, "offset": 0})

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
