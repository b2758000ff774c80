"""What callers may send: every invalid field is reported, and nothing of what they sent is repeated."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from recordings.domain.lifecycle import Status
from recordings.http.problems import MAX_REPORTED_ERRORS, ProblemError
from recordings.http.requests import (
    DownloadRecordingQuery,
    ListRecordingsQuery,
    ListRoomsQuery,
    NoBody,
    NoQuery,
    PutRoomBody,
    RequestBody,
    RequestQuery,
    RestoreRecordingBody,
    StartRecordingBody,
    parse_request,
    query_parameters,
)


def query_of[Q: RequestQuery](model: type[Q], raw_query: str) -> Q:
    return parse_request(model, query_parameters(raw_query), NoBody, b"")[0]


def body_of[B: RequestBody](model: type[B], raw_body: bytes) -> B:
    return parse_request(NoQuery, [], model, raw_body)[1]


def errors_of(
    query: type[RequestQuery] = NoQuery, raw_query: str = "", body: type[RequestBody] = NoBody, raw_body: bytes = b""
) -> list[tuple[str, str]]:
    """The invalid fields and what is wrong with them."""
    try:
        parse_request(query, query_parameters(raw_query), body, raw_body)
    except ProblemError as problem:
        return [(error.field, error.message) for error in problem.errors]
    return []


def fields_of(
    query: type[RequestQuery] = NoQuery, raw_query: str = "", body: type[RequestBody] = NoBody, raw_body: bytes = b""
) -> list[str]:
    return [field for field, _ in errors_of(query, raw_query, body, raw_body)]


def accepts(model: type[RequestBody], body: dict[str, Any]) -> bool:
    return not errors_of(body=model, raw_body=json.dumps(body).encode())


# ---------------------------------------------------------------- every invalid field is reported


def test_every_invalid_field_of_a_body_is_reported() -> None:
    body = b'{"name": "", "cloudflare_meeting_id": "x", "record_on_start": 1, "nmae": "CS"}'
    fields = fields_of(body=PutRoomBody, raw_body=body)
    assert sorted(fields) == ["cloudflare_meeting_id", "name", "nmae", "record_on_start"]


def test_every_invalid_parameter_of_a_query_is_reported() -> None:
    query = "limit=0&lmit=5&status=ready&status=lost&cursor=a&cursor=b&created_after=1767695400"
    assert sorted(fields_of(ListRecordingsQuery, query)) == ["created_after", "cursor", "limit", "lmit", "status"]


def test_invalid_fields_of_query_and_body_are_reported_together() -> None:
    assert fields_of(ListRoomsQuery, "limit=0", StartRecordingBody, b'{"typo": 1}') == ["limit", "typo"]


@pytest.mark.parametrize("query", ["status=a&status=b", "status=a&status=&status=ready"])
def test_a_field_with_several_faults_is_reported_once(query: str) -> None:
    assert fields_of(ListRecordingsQuery, query) == ["status"]
    assert fields_of(ListRecordingsQuery, "limit=x&limit=y") == ["limit"]


def test_a_bounded_number_of_fields_is_reported() -> None:
    body = json.dumps({f"key{number}": 1 for number in range(2000)}).encode()
    assert len(errors_of(body=NoBody, raw_body=body)) == MAX_REPORTED_ERRORS


def test_two_parameters_that_exclude_each_other_are_one_error() -> None:
    assert errors_of(ListRecordingsQuery, "offset=1&cursor=a") == [("cursor", "Give cursor or offset, not both")]


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        pytest.param(PutRoomBody, {"name": "n", "cloudflare_meeting_id": "SECRET"}, "cloudflare_meeting_id", id="UUID"),
        pytest.param(RestoreRecordingBody, {"tier": "SECRET"}, "tier", id="enumeration"),
        pytest.param(StartRecordingBody, {"max_duration_seconds": "SECRET"}, "max_duration_seconds", id="number"),
        pytest.param(PutRoomBody, {"name": ["SECRET"]}, "name", id="another type"),
        pytest.param(PutRoomBody, {"name": "SECRET" * 50}, "name", id="length"),
    ],
)
def test_an_error_does_not_repeat_the_value(model: type[RequestBody], body: dict[str, Any], field: str) -> None:
    ((name, message),) = errors_of(body=model, raw_body=json.dumps(body).encode())
    assert name == field
    assert "SECRET" not in message
    assert "`S`" not in message


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="not closed"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 5000, id="deep"),
        pytest.param(b'"\\ud800"', id="lone surrogate"),
        pytest.param(b"{} {}", id="two documents"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"max_duration_seconds=60", id="form"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert fields_of(body=StartRecordingBody, raw_body=body) == ["body"]


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_an_empty_body_is_an_empty_object(body: bytes) -> None:
    assert body_of(StartRecordingBody, body) == StartRecordingBody()


@pytest.mark.parametrize(
    ("seconds", "fits"),
    [(59, False), (60, True), (86_400, True), (86_401, False), ("60", False), (60.0, False), (True, False)],
)
def test_a_start_takes_an_integer_in_range(seconds: object, fits: bool) -> None:
    assert accepts(StartRecordingBody, {"max_duration_seconds": seconds}) is fits


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({}, True),
        ({"days": 1, "tier": "bulk"}, True),
        ({"days": 30}, True),
        ({"days": 0}, False),
        ({"days": 31}, False),
        ({"tier": "Bulk"}, False),
        ({"tier": None}, False),
    ],
)
def test_a_restore_names_days_and_a_tier(body: dict[str, Any], fits: bool) -> None:
    assert accepts(RestoreRecordingBody, body) is fits


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": 1},
        {"name": "x", "record_on_start": "yes"},
        {"name": "x", "record_on_start": 1},
        {"name": "x", "tenant_id": "other"},
        *(
            {"name": "x", "cloudflare_meeting_id": text}
            for text in (
                "not a uuid",
                "urn:uuid:bbb0a4a3-0d4d-4a0a-9f4b-1a4a3ef8f4d1",
                "{bbb0a4a3-0d4d-4a0a-9f4b-1a4a3ef8f4d1}",
                "",
            )
        ),
    ],
)
def test_an_invalid_room_is_refused(body: dict[str, Any]) -> None:
    assert not accepts(PutRoomBody, body)


@pytest.mark.parametrize(
    "text",
    [
        "bbb0a4a3-0d4d-4a0a-9f4b-1a4a3ef8f4d1",
        "BBB0A4A3-0D4D-4A0A-9F4B-1A4A3EF8F4D1",
        "bbb0a4a30d4d4a0a9f4b1a4a3ef8f4d1",
    ],
)
def test_a_meeting_is_named_by_its_uuid_in_any_usual_form(text: str) -> None:
    body = body_of(PutRoomBody, json.dumps({"name": "x", "cloudflare_meeting_id": text}).encode())
    assert str(body.cloudflare_meeting_id) == "bbb0a4a3-0d4d-4a0a-9f4b-1a4a3ef8f4d1"


# ---------------------------------------------------------------- query strings


@pytest.mark.parametrize("limit", ["1", "20", "100"])
def test_a_limit_is_a_plain_whole_number(limit: str) -> None:
    assert query_of(ListRecordingsQuery, f"limit={limit}").limit == int(limit)


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "1.0", "1e1", " 5", "+5", "5_0", "٥", "", "x", "0x10", "9" * 40, "5" * 5000]
)
def test_another_limit_is_refused(limit: str) -> None:
    assert fields_of(ListRecordingsQuery, f"limit={quote(limit)}") == ["limit"]
    assert fields_of(ListRoomsQuery, f"limit={quote(limit)}") == ["limit"]


def test_a_query_has_defaults() -> None:
    assert query_of(ListRecordingsQuery, "") == ListRecordingsQuery(limit=20, offset=None, cursor=None, status=())
    assert query_of(ListRoomsQuery, "") == ListRoomsQuery(limit=20, cursor=None)
    assert query_of(DownloadRecordingQuery, "") == DownloadRecordingQuery(expires_in=3600)


def test_an_offset_may_be_beyond_the_end_of_the_list_but_not_before_its_beginning() -> None:
    assert query_of(ListRecordingsQuery, f"offset={2**53 - 1}").offset == 2**53 - 1
    for offset in ("-1", f"{2**53}", f"{10**18}", f"{2**63}", "9" * 400):
        assert fields_of(ListRecordingsQuery, f"offset={offset}") == ["offset"]


def test_a_list_is_filtered_by_room_statuses_and_times() -> None:
    query = query_of(
        ListRecordingsQuery,
        "room_id=r%2F1&status=ready&status=failed&created_after=2026-01-06T12:30:00%2B02:00&created_before=2026-01-07T00:00:00Z",
    )
    filters = query.filters()
    assert (filters.room_id, filters.statuses) == ("r/1", frozenset({Status.READY, Status.FAILED}))
    assert filters.created_after == datetime(2026, 1, 6, 10, 30, tzinfo=UTC)
    assert filters.created_before == datetime(2026, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-06T10:30:00Z",
        "2026-01-06t10:30:00z",
        "2026-01-06 10:30:00Z",
        "2026-01-06T10:30:00.123456789Z",
        "2026-01-06T10:30:00-23:59",
        "2026-01-06T10:30:00+0200",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_a_time_of_rfc_3339_is_accepted(time: str) -> None:
    after = query_of(ListRecordingsQuery, urlencode({"created_after": time})).created_after
    assert after is not None
    assert after.utcoffset() is not None


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "2026-01-06",
        "2026-01-06T10:30Z",
        "2026-01-06T10:30:00",
        "2026-01-06T10:30:00.Z",
        "2026-01-06T10:30:00+24:00",
        "2026-01-06T10:30:60Z",
        "2026-02-30T00:00:00Z",
        "20260106T103000Z",
        "1767695400",
        "٢٠٢٦-01-06T10:30:00Z",
        "",
    ],
)
def test_another_time_is_refused(time: str) -> None:
    assert fields_of(ListRecordingsQuery, urlencode({"created_after": time})) == ["created_after"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=unknown", "status"),
        ("status=READY", "status"),
        ("room_id=", "room_id"),
        ("room_id=a&room_id=b", "room_id"),
        ("cursor=", "cursor"),
        ("cursor=a%20b", "cursor"),
        ("ofset=1", "ofset"),
        ("limit%20=1", "limit "),
    ],
)
def test_another_filter_is_refused(query: str, field: str) -> None:
    assert fields_of(ListRecordingsQuery, query) == [field]


@pytest.mark.parametrize(("seconds", "fits"), [("59", False), ("60", True), ("604800", True), ("604801", False)])
def test_a_download_url_lives_for_a_minute_to_a_week(seconds: str, fits: bool) -> None:
    assert (not errors_of(DownloadRecordingQuery, f"expires_in={seconds}")) is fits
