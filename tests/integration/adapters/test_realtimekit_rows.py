"""Odd rows of Cloudflare's listing, each beside a good one, through the real adapter and over HTTP."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.adapters.cloudflare import models
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.cloudflare.models import RecordingRow
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.observability import metrics
from tests.support.fakes import FakeRateLimiter
from tests.support.secrets import known_token
from tests.support.standin import serving
from tools.local.standin.cloudflare import TOKEN

INVOKED = datetime(2026, 9, 1, 10, tzinfo=UTC)
NOW = datetime(2026, 9, 2, 10, tzinfo=UTC)
ODD: dict[str, Any] = {"id": "odd", "status": "UPLOADED", "invoked_time": "2026-09-01T10:00:00Z"}
URL = "https://example.com/a.mp4"
MEETING = "6b0c3a8e-5a9f-4c58-9d44-1f2e3d4c5b6a"


def layers(*urls: str) -> str:
    """`download_url` of a track recording, with these URLs in one layer."""
    files = {f"speaker_u{number}_p_peer_audio_1.webm": {"download_url": url} for number, url in enumerate(urls)}
    return json.dumps([{"layer_name": "default", "download_urls": files}])


DEEP: Any = json.loads("[" * 200 + "]" * 200)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("standin")) as address:
        yield address


@pytest.fixture
def provider(origin: str, monkeypatch: pytest.MonkeyPatch) -> RealtimeKitClient:
    requests.post(f"{origin}/_control/reset", timeout=20)
    monkeypatch.setenv("CLOUDFLARE_API_URL", f"{origin}/client/v4")
    metrics.clear_metrics()
    return RealtimeKitClient(FakeRateLimiter(), token=known_token(TOKEN))


def control(origin: str, path: str, body: str) -> Any:
    response = requests.post(f"{origin}/_control{path}", data=body, timeout=20)
    assert response.ok, response.text
    return response.json()["data"] if response.content else None


def beside_a_good_one(
    origin: str, provider: RealtimeKitClient, row: str
) -> tuple[list[ProviderRecording], list[ProviderRecording]]:
    """What is listed of all meetings, and of the meeting: without the good row, which must be in both."""
    good = control(origin, "/recordings", "{}")
    control(origin, "/rows", f'{{"row": {row}, "meeting_id": "{good["meeting_id"]}"}}')
    listings = [[*provider.list_page(1)[0]], [*provider.list_by_meeting(good["meeting_id"])]]
    for listing in listings:
        assert [one.status for one in listing if one.cloudflare_recording_id == good["id"]] == [ProviderStatus.UPLOADED]
    of_all, of_meeting = ([one for one in listing if one.cloudflare_recording_id != good["id"]] for listing in listings)
    return of_all, of_meeting


def unreadable() -> int:
    reported = metrics.metric_set.get("RowsUnreadable")
    return int(sum(reported["Value"])) if reported else 0


@pytest.mark.parametrize(
    "row",
    [
        {name: value for name, value in ODD.items() if name != "id"},
        ODD | {"id": None},
        ODD | {"id": 7},
        ODD | {"id": ["odd"]},
        ODD | {"id": {}},
        ODD | {"id": True},
        ODD | {"id": ""},
        ODD | {"id": "x" * 129},
        ODD | {"id": "../meetings"},
        ODD | {"id": "a b"},
        ODD | {"id": "\ud800"},
        ODD | {"id": "é"},
        {},
        [],
        None,
        "odd",
        7,
        DEEP,
    ],
    ids=lambda row: json.dumps(row)[:40],
)
def test_a_row_without_an_id_is_counted_and_left_out(
    origin: str, provider: RealtimeKitClient, caplog: pytest.LogCaptureFixture, row: object
) -> None:
    assert beside_a_good_one(origin, provider, json.dumps(row)) == ([], [])
    assert unreadable() == 2
    reported = [vars(line) for line in caplog.records if line.message == "unreadable rows"]
    assert [(line["page"], line["rows"], line["unreadable"]) for line in reported] == [(1, 2, 1)] * 2
    assert all("2026-09-01" not in str(line) for line in reported)


CASES: list[tuple[str, str, Callable[[ProviderRecording], object], object]] = [
    ("status", '["UPLOADED"]', lambda one: (one.status, one.status.running), (ProviderStatus.UNKNOWN, True)),
    ("status", "{}", lambda one: one.status, ProviderStatus.UNKNOWN),
    ("status", "null", lambda one: one.status, ProviderStatus.UNKNOWN),
    ("status", "5", lambda one: one.status, ProviderStatus.UNKNOWN),
    *(
        (name, given, read, None)
        for name, read in (
            ("started_time", lambda one: one.started_at),
            ("stopped_time", lambda one: one.stopped_at),
            ("download_url_expiry", lambda one: one.url_expires_at),
        )
        for given in (
            '"0001-01-01T00:00:00Z"',
            '"0001-01-01T00:00:00+05:00"',
            '"1970-01-01T00:00:00Z"',
            '"1970-01-01T05:30:00+05:30"',
            '"1969-12-31T19:00:00-05:00"',
            '"0000-00-00T00:00:00Z"',
            '"10000-01-01T00:00:00Z"',
            '"9999-12-31T23:59:59-14:00"',
            '"yesterday"',
            '""',
            "1756720800",
            "1e400",
            '["2026-09-01T10:00:00Z"]',
            "null",
        )
    ),
    ("started_time", '"9999-01-01T00:00:00Z"', lambda one: one.started_at, None),
    ("stopped_time", '"2126-09-01T10:00:00Z"', lambda one: one.stopped_at, None),
    ("stopped_time", '"2021-09-01T10:00:00Z"', lambda one: one.stopped_at, None),
    ("started_time", '"2026-09-01T10:00:07"', lambda one: one.started_at, INVOKED + timedelta(seconds=7)),
    ("download_url_expiry", '"2026-09-08T12:00:00+02:00"', lambda one: one.url_expires_at, INVOKED + timedelta(days=7)),
    ("download_url_expiry", '"9999-01-01T00:00:00Z"', lambda one: one.url_expires_at, datetime(9999, 1, 1, tzinfo=UTC)),
    *(
        (name, given, read, None)
        for name, read in (
            ("recording_duration", lambda one: one.duration_seconds),
            ("file_size", lambda one: one.size_bytes),
        )
        for given in (
            "-1731660518",
            str(10**18),
            "1" + "0" * 4000,
            "1e400",
            "-1e400",
            "NaN",
            "-0.5",
            '"-1"',
            '"many"',
            '"1e400"',
            '"' + "9" * 5000 + '"',
            "true",
            "[12]",
            "{}",
            "null",
        )
    ),
    ("file_size", '"1e5"', lambda one: one.size_bytes, None),
    ("file_size", '"１２"', lambda one: one.size_bytes, None),
    ("file_size", str(5 * 1024**4), lambda one: one.size_bytes, 5 * 1024**4),
    ("file_size", str(5 * 1024**4 + 1), lambda one: one.size_bytes, None),
    ("file_size", "0", lambda one: one.size_bytes, 0),
    ("file_size", "12.0", lambda one: one.size_bytes, 12),
    ("file_size", '"12"', lambda one: one.size_bytes, 12),
    ("recording_duration", "90000", lambda one: one.duration_seconds, 90000),
    ("recording_duration", "90001", lambda one: one.duration_seconds, None),
    ("download_url", f'["{URL}", "{URL}?b"]', lambda one: (one.download_url, one.tracks), (None, True)),
    ("download_url", f'{{"a": "{URL}", "b": "{URL}?b"}}', lambda one: (one.download_url, one.tracks), (None, True)),
    ("download_url", f'["{URL}"]', lambda one: (one.download_url, one.tracks), (URL, False)),
    ("download_url", f'[null, 7, "{URL}"]', lambda one: (one.download_url, one.tracks), (URL, False)),
    # As the guide shows a track recording (recording-guide/track-recording): also of one participant alone.
    ("download_url", layers(URL), lambda one: (one.download_url, one.tracks), (None, True)),
    ("download_url", layers(URL, f"{URL}?b"), lambda one: (one.download_url, one.tracks), (None, True)),
    ("download_url", layers(), lambda one: (one.download_url, one.tracks), (None, True)),
    (
        "download_url",
        f'[{{"a": {{"download_url": "{URL}"}}}}]',
        lambda one: (one.download_url, one.tracks),
        (URL, False),
    ),
    ("download_url", json.dumps(DEEP), lambda one: (one.download_url, one.tracks), (None, False)),
    ("type", '"TRACK"', lambda one: one.tracks, True),
    ("type", '"COMPOSITE"', lambda one: one.tracks, False),
    ("type", '["TRACK"]', lambda one: one.tracks, False),
    *(
        ("output_file_name", json.dumps(name), lambda one: one.tracks, tracks)
        for name, tracks in (
            ("speaker_user-123_peer-456_peer_audio_1760000000000.webm", True),
            ("default_u_p_peer_video_1760000000000.webm", True),
            (
                "{{file_name_prefix}}_{{user_id}}_{{peer_id}}_{{stream_kind}}_{{media_kind}}_{{date_time}}.webm",
                True,
            ),
            (f"{MEETING}_1767700800000.webm", False),
            (f"team_audio_{MEETING}_1767700800000.mp4", False),
            ("lesson_audio_.mp4", False),
        )
    ),
    ("download_url", "[]", lambda one: (one.download_url, one.tracks), (None, False)),
    ("download_url", "7", lambda one: one.download_url, None),
    ("download_url", '""', lambda one: one.download_url, None),
    ("download_url", '"https://a b"', lambda one: one.download_url, None),
    ("session_id", "7", lambda one: one.session_id, None),
    ("session_id", '["s"]', lambda one: one.session_id, None),
    ("output_file_name", "7", lambda one: (one.file_name, one.likely_meeting_id), (None, None)),
    ("output_file_name", '["a.mp4"]', lambda one: one.file_name, None),
    ("output_file_name", '"../../secret.mp4"', lambda one: one.file_name, None),
    ("output_file_name", '"a\\u0000.mp4"', lambda one: one.file_name, None),
    ("output_file_name", f'"{MEETING}_1767700800000.mp4"', lambda one: one.likely_meeting_id, MEETING),
    ("meeting", '"odd"', lambda one: one.meeting_id, None),
    ("meeting", '{"id": 7}', lambda one: one.meeting_id, None),
    ("start_reason", '["RECORD_ON_START"]', lambda one: one.auto_started, None),
    ("start_reason", '{"reason": ["RECORD_ON_START"]}', lambda one: one.auto_started, False),
]


@pytest.mark.parametrize(
    ("field", "odd", "read", "right"), CASES, ids=[f"{field}: {odd}"[:60] for field, odd, *_ in CASES]
)
def test_a_malformed_field_is_none(
    origin: str,
    provider: RealtimeKitClient,
    field: str,
    odd: str,
    read: Callable[[ProviderRecording], object],
    right: object,
) -> None:
    row = json.dumps(ODD)[:-1] + f', "{field}": {odd}}}'
    of_all, of_meeting = beside_a_good_one(origin, provider, row)
    assert [read(one) for one in of_all] == [right]
    assert of_meeting == of_all
    assert (of_all[0].cloudflare_recording_id, of_all[0].invoked_at) == ("odd", INVOKED)
    assert unreadable() == 0


@pytest.mark.parametrize("odd", ['"0001-01-01T00:00:00Z"', '"9999-01-01T00:00:00Z"', "null", "7"])
def test_a_missing_start_time_is_now(origin: str, provider: RealtimeKitClient, odd: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    ((read,), _) = beside_a_good_one(origin, provider, json.dumps(ODD)[:-1] + f', "invoked_time": {odd}}}')
    assert before <= read.invoked_at <= datetime.now(UTC)


@pytest.mark.parametrize("raw", [{"id": None}, {"id": 7}, {"id": ["x"]}])
def test_a_recording_without_an_id_has_the_requested_one(
    origin: str, provider: RealtimeKitClient, raw: dict[str, object]
) -> None:
    made = control(origin, "/recordings", '{"status": "RECORDING"}')["id"]
    requests.patch(f"{origin}/_control/recordings/{made}", json={"raw": raw}, timeout=20).raise_for_status()
    assert provider.get(made).cloudflare_recording_id == made
    assert provider.stop(made).cloudflare_recording_id == made


@pytest.mark.parametrize("digits", ["9" * 18, "9" * 5000, "-" + "9" * 5000])
def test_a_number_of_any_length_is_read(digits: str) -> None:
    (row,) = models.parse_json(f'[{{"id": "odd", "file_size": {digits}}}]')
    parsed = RecordingRow.parse(row)
    assert parsed is not None
    assert (parsed.id, parsed.file_size) == ("odd", None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "id", "status", "invoked_time", "started_time", "stopped_time", "session_id", "output_file_name", "file_size",
    "recording_duration", "download_url", "download_url_expiry", "start_reason", "meeting", "type",
)  # fmt: skip


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_every_row_is_read_into_values_that_can_be_stored(row: dict[str, Any]) -> None:
    found = RecordingRow.parse(row)
    assert found is None or found.id == row["id"]
    known = RecordingRow.parse(row, known_id="odd")
    assert known is not None
    read = known.to_domain(now=NOW)
    assert read.size_bytes is None or 0 <= read.size_bytes <= models.MAX_SIZE_BYTES
    assert read.duration_seconds is None or 0 < read.duration_seconds <= 90_000
    for at in (read.invoked_at, read.started_at, read.stopped_at):
        assert at is None or (at.tzinfo is UTC and models.EARLIEST <= at <= NOW + timedelta(days=1))
    for text in (read.session_id, read.file_name, read.download_url, read.meeting_id, read.likely_meeting_id):
        assert text is None or (isinstance(text, str) and text.encode())
    assert isinstance(hash(read), int)
