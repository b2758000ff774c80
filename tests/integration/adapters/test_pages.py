"""Both readers of pages beside the recordings themselves, and the responses that they read."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from recordings.adapters.dynamodb.connection import _read_body, call, client
from recordings.adapters.dynamodb.day_pages import read_day_page
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.queries import item_key
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.row_pages import read_row_page
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.errors import Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.domain.recording import Recording
from recordings.ports.repositories import Filter
from recordings.request_context import request_context
from tests.support.builders import NOON, a_file, a_recording
from tests.support.fakes import CountingIds
from tests.support.memory_table import a_memory_table
from tests.support.table import a_table

STATUSES = [status for status in Status if status is not Status.RECORDING]
# Near the ends of a quarter hour, of a day, of a month and of a year.
EDGES = [
    datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 44, 59, tzinfo=UTC),
    datetime(2026, 2, 1, 0, 14, 59, tzinfo=UTC),
]
CUTS = [
    None,
    *(edge + timedelta(seconds=seconds) for edge in EDGES for seconds in (-1, 0, 1)),
    EDGES[1] + timedelta(microseconds=1),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]


def a_history(chance: random.Random) -> list[Recording]:
    """Store recordings, change and delete some of them, and return those that lists show, newest first."""
    recordings, new_id, live = DynamoRecordings(), CountingIds(), {}
    for number in range(chance.choice([1, 5, 14])):
        at = chance.choice(EDGES) + timedelta(seconds=chance.choice([-60, -1, 0, 1, 2, 900]))
        one = a_recording(
            id=new_id(at),
            created_at=at,
            room_id=f"room_{chance.randrange(2)}",
            cloudflare_recording_id=f"capture_{number}",
            status=chance.choice(STATUSES),
        )
        recordings.add(one, lease_nonce=None)
        if one.status is Status.PROCESSING and chance.random() < 0.5:
            file = a_file(size_bytes=chance.randrange(10**12))
            before, one = one, one.stored(file, duration_seconds=7, partial=False, at=NOON, cause="x")
            recordings.save(before, one)
        if chance.random() < 0.15:
            recordings.save(one, one.deleted(at=NOON))
        else:
            live[one.id] = one
    return sorted(live.values(), key=lambda one: one.id, reverse=True)


def a_filter(chance: random.Random) -> Filter:
    return Filter(
        room_id=chance.choice([None, None, "room_0", "room_1", "room_2"]),
        statuses=frozenset(chance.sample([*Status], chance.choice([0, 0, 1, 2, 5]))),
        created_after=chance.choice(CUTS),
        created_before=chance.choice(CUTS),
    )


def selected(live: list[Recording], only: Filter) -> list[ListedRecording]:
    return [
        ListedRecording.of(one)
        for one in live
        if (only.room_id is None or one.room_id == only.room_id)
        and (not only.statuses or one.status in only.statuses)
        and (only.created_after is None or one.created_at > only.created_after)
        and (only.created_before is None or one.created_at < only.created_before)
    ]


def assert_pages(live: list[Recording], chance: random.Random) -> None:
    for _ in range(6):
        only, limit = a_filter(chance), chance.choice([1, 2, 100])
        wanted = selected(live, only)
        offset, after = chance.choice([0, 1, 2, len(wanted), 2**53 - 1]), None
        if live and chance.random() < 0.3:
            offset, after = 0, chance.choice(live).id
        rest = [one for one in wanted if after is None or one.id < after][offset:]
        for read in (read_day_page, read_row_page):
            page = read("tenant_1", only, limit=limit, offset=offset, after=after)
            assert (list(page.items), page.total) == (rest[:limit], len(wanted)), (read, only)
            assert page.has_more == (len(rest) > limit), (read, only)


def test_both_readers_show_what_any_history_left() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        with a_memory_table(Layout.ROWS_WITH_DAYS):
            assert_pages(a_history(chance), chance)


def test_a_partition_of_more_than_one_response_is_read_to_its_end() -> None:
    for seed in range(5):
        chance = random.Random(seed)
        with a_memory_table(Layout.ROWS_WITH_DAYS) as table:
            live = a_history(chance)
            # Fewer than two recordings or rows.
            table.page_bytes = 1000
            assert_pages(live, chance)


@pytest.mark.parametrize("layout", [Layout.BOTH, Layout.ROWS])
def test_a_tenant_whose_key_is_too_long_has_no_recordings(layout: Layout) -> None:
    tenant_id = "é" * 400
    with a_memory_table(layout):
        page = DynamoRecordings().page(tenant_id, limit=5)
    assert (list(page.items), page.total, page.cursor) == ([], 0, None)


def test_no_read_of_a_page_is_sent_after_the_deadline() -> None:
    with a_memory_table(Layout.ROWS):
        recordings = DynamoRecordings()
        recordings.page("tenant_1", limit=5)
        with request_context(tenant_id="tenant_1", seconds=-1), pytest.raises(Throttled):
            recordings.page("tenant_1", Filter(room_id="room_1"), limit=5)


# ---------------------------------------------------------------- responses


@pytest.fixture
def stored() -> Iterator[dict[str, Any]]:
    """An item with a value of every type that ours have."""
    item: dict[str, Any] = {
        **item_key("pk", "sk"),
        "text": {"S": "Zoë 🎬"},
        "number": {"N": "-12345678901234567890"},
        "flag": {"BOOL": False},
        "nothing": {"NULL": True},
        "map": {"M": {"inner": {"L": [{"S": ""}, {"M": {}}]}}},
    }
    with a_table():
        client.put_item(TableName=TABLE, Item=item)
        yield item


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        pytest.param("GetItem", {"TableName": TABLE, "Key": item_key("pk", "sk")}, id="GetItem"),
        pytest.param("GetItem", {"TableName": TABLE, "Key": item_key("pk", "none")}, id="GetItem without an item"),
        pytest.param(
            "Query",
            {
                "TableName": TABLE,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": "pk"}},
                "Limit": 1,
            },
            id="Query",
        ),
        pytest.param("BatchGetItem", {"RequestItems": {TABLE: {"Keys": [item_key("pk", "sk")]}}}, id="BatchGetItem"),
    ],
)
def test_a_response_is_what_botocores_parser_makes_of_it(
    stored: dict[str, Any], operation: str, arguments: dict[str, Any]
) -> None:
    own = {**call(operation, arguments)}
    client.meta.events.unregister(f"before-parse.dynamodb.{operation}", _read_body)
    try:
        rclone = {**call(operation, arguments)}
    finally:
        client.meta.events.register(f"before-parse.dynamodb.{operation}", _read_body)
    for response in (own, rclone):
        response.pop("ResponseMetadata")
    assert own == rclone


class _Damaged:
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield b'{"Item": {'


def test_a_damaged_response_is_a_passing_error() -> None:
    def damage(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, {}, _Damaged())  # type: ignore[arg-type]

    events: Any = client.meta.events
    events.register_first("before-send.dynamodb", damage)
    try:
        with request_context(tenant_id=None, seconds=5), pytest.raises(Throttled):
            call("GetItem", {"TableName": TABLE, "Key": item_key("pk", "sk")})
    finally:
        events.unregister("before-send.dynamodb", damage)
