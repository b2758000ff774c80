"""Our client of RealtimeKit against a server made of the official SDK's models: what the client sends must be what the
SDK could send, and it must read whatever the SDK's models allow, as the SDK reads it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from admin.webhook import register_webhook
from recordings.adapters.cloudflare.client import DirectDelivery, RealtimeKitClient
from recordings.adapters.cloudflare.transport import CloudflareApi
from recordings.domain.errors import ProviderError
from recordings.domain.provider_recording import ProviderRecording
from tests.support import sdk
from tests.support.fakes import FakeRateLimiter
from tests.support.sdk_server import SdkServer, serving_sdk
from tests.support.secrets import known_token

START, GET, STOP, ACTIVE, LIST, SESSION, MEETING, NEW_MEETING, SET_MEETING = (
    "recordings.start_recordings",
    "recordings.get_one_recording",
    "recordings.pause_resume_stop_recording",
    "recordings.get_active_recordings",
    "recordings.get_recordings",
    "sessions.get_session_details",
    "meetings.get_meeting_by_id",
    "meetings.create",
    "meetings.update_meeting_by_id",
)
HOOKS = {name: f"webhooks.{name}" for name in ("get_webhooks", "create_webhook", "edit_webhook")}


@pytest.fixture
def server() -> Iterator[SdkServer]:
    with serving_sdk() as server:
        yield server


@pytest.fixture
def provider(server: SdkServer, monkeypatch: pytest.MonkeyPatch) -> RealtimeKitClient:
    monkeypatch.setenv("CLOUDFLARE_API_URL", server.api)
    return RealtimeKitClient(FakeRateLimiter(), token=known_token())


def variants(name: str) -> list[Any]:
    """Every response of an operation, all of which the SDK's model fits."""
    model = sdk.operations()[name].response
    found = list(sdk.variants(model))
    for one in found:
        model.model_validate(one)
    return found


def parsed(name: str, document: Any) -> Any:
    """What the SDK makes of a response."""
    return sdk.operations()[name].response.model_validate(document)


def seconds(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC).replace(microsecond=0) if at is not None else None


def assert_same(read: ProviderRecording, row: Any) -> None:
    """Our reading of a recording is that of the SDK."""
    reason = getattr(row, "start_reason", None)
    meeting = getattr(row, "meeting", None)
    assert (read.cloudflare_recording_id, read.status.value, read.session_id) == (row.id, row.status, row.session_id)
    assert (read.file_name, read.duration_seconds) == (row.output_file_name, row.recording_duration)
    assert read.invoked_at == seconds(row.invoked_time)
    assert (read.started_at, read.stopped_at) == (seconds(row.started_time), seconds(row.stopped_time))
    assert (read.size_bytes, read.download_url) == (row.file_size, row.download_url)
    assert read.url_expires_at == seconds(row.download_url_expiry)
    assert read.auto_started == (None if reason is None else reason.reason == "RECORD_ON_START")
    assert read.meeting_id == (None if meeting is None else meeting.id)
    assert not read.tracks


@pytest.mark.parametrize("name", [START, GET, STOP, ACTIVE])
def test_one_recording_is_read_as_the_sdk_reads_it(server: SdkServer, provider: RealtimeKitClient, name: str) -> None:
    calls: dict[str, Callable[[], ProviderRecording | None]] = {
        START: lambda: provider.start("meeting", max_seconds=60),
        GET: lambda: provider.get("recording"),
        STOP: lambda: provider.stop("recording"),
        ACTIVE: lambda: provider.find_active("meeting"),
    }
    documents = variants(name)
    for document in documents:
        server.responses[name] = document
        reported = parsed(name, document)
        if reported.data is None:
            # The models allow a success that says nothing. Of a recording that is no success.
            with pytest.raises(ProviderError):
                calls[name]()
            continue
        read = calls[name]()
        assert read is not None
        assert_same(read, reported.data)
    assert server.refused == []
    assert server.called == [name] * len(documents)
    assert len(documents) > 20


def test_every_row_of_a_listing_is_read_as_the_sdk_reads_it(server: SdkServer, provider: RealtimeKitClient) -> None:
    listed = (row for document in variants(LIST) for row in document["data"])
    rows = [row | {"id": f"row-{number}"} for number, row in enumerate(listed)]
    for page in (rows[at : at + 100] for at in range(0, len(rows), 100)):
        paging = {"total_count": float(len(page)), "start_offset": 1.0, "end_offset": float(len(page))}
        server.responses[LIST] = {"success": True, "data": page, "paging": paging}
        reported = parsed(LIST, server.responses[LIST]).data
        for read in (list(provider.list_by_meeting("meeting")), list(provider.list_page(1)[0])):
            assert [one.cloudflare_recording_id for one in read] == [row.id for row in reported]
            for one, row in zip(read, reported, strict=True):
                assert_same(one, row)
    assert server.refused == []
    assert len(rows) > 50


def test_a_listing_ends_with_any_paging(server: SdkServer, provider: RealtimeKitClient) -> None:
    numbers = (0, 1.0, 12)
    for start, end, total in product(numbers, numbers, numbers):
        for rows in ([], [sdk.example(sdk.operations()[GET].response, full=True)["data"]]):
            paging = {"start_offset": start, "end_offset": end, "total_count": total}
            server.responses[LIST] = {"success": True, "data": rows, "paging": paging}
            server.called.clear()
            assert len(list(provider.list_by_meeting("meeting"))) == len(rows)
            assert len(server.called) <= 4
    assert server.refused == []


def test_the_end_of_a_session_is_read_as_the_sdk_reads_it(server: SdkServer, provider: RealtimeKitClient) -> None:
    # The models have text where the API reference has times.
    for document in variants(SESSION):
        data = document.get("data")
        for name in ("ended_at", "updated_at", "started_at", "created_at") if data else ():
            if data.get(name) is not None:
                data[name] = sdk.TIME
        server.responses[SESSION] = document
        reported = parsed(SESSION, document).data
        if reported is None:
            with pytest.raises(ProviderError):
                provider.find_session_end("session")
            continue
        wanted = seconds(datetime.fromisoformat(sdk.TIME)) if reported.status == "ENDED" else None
        assert provider.find_session_end("session") == wanted
    assert server.refused == []


def test_meetings_are_created_read_and_changed_as_by_the_sdk(server: SdkServer, provider: RealtimeKitClient) -> None:
    for document in variants(MEETING):
        server.responses |= {MEETING: document, NEW_MEETING: document, SET_MEETING: document}
        reported = parsed(MEETING, document).data
        if reported is None:
            for call in (
                lambda: provider.create_meeting("Lab", record_on_start=True),
                lambda: provider.get_record_on_start("meeting"),
                lambda: provider.set_record_on_start("meeting", record_on_start=False),
            ):
                with pytest.raises(ProviderError):
                    call()
            continue
        assert provider.create_meeting("Lab", record_on_start=True) == reported.id
        assert provider.get_record_on_start("meeting") is reported.record_on_start
        provider.set_record_on_start("meeting", record_on_start=False)
    assert {*server.called} == {MEETING, NEW_MEETING, SET_MEETING}
    assert server.refused == []


def test_a_start_works_without_the_storage_that_the_sdk_does_not_know(
    server: SdkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_URL", server.api)
    keys = {"access_key_id": "x", "secret_access_key": "x"}
    delivery = DirectDelivery("files", lambda: keys)
    provider = RealtimeKitClient(FakeRateLimiter(), token=known_token(), delivery=delivery)
    server.responses |= {START: variants(START)[0], ACTIVE: None}
    started = provider.start("meeting", max_seconds=None, folder="delivered/t/r")
    assert started.delivery_key is None
    assert server.called == [ACTIVE, START]
    assert {one.removeprefix(START).split(":")[0] for one in server.refused} == {
        ".storage_config.account_id",
        ".storage_config.type",
    }


def test_the_webhook_is_registered_with_requests_of_the_sdk(server: SdkServer) -> None:
    url = "https://api.example/webhooks/cloudflare"
    models = {name: sdk.operations()[name].response for name in HOOKS.values()}
    hook = sdk.example(models[HOOKS["get_webhooks"]])["data"][0]
    server.responses = {name: sdk.example(model) for name, model in models.items()}
    listings: list[tuple[list[Any], list[str]]] = [
        ([], ["create_webhook"]),
        ([hook], ["create_webhook"]),
        ([hook | {"url": url, "enabled": True, "events": ["recording.statusUpdate"]}], []),
        ([hook | {"url": url, "enabled": False}], ["edit_webhook"]),
        ([hook, hook | {"url": url, "events": []}], ["edit_webhook"]),
    ]
    for listed, then in listings:
        server.called.clear()
        server.responses[HOOKS["get_webhooks"]] = {"success": True, "data": listed}
        assert url in register_webhook(server.api, "account", "app", "token", "https://api.example/")
        assert server.called == [HOOKS[name] for name in ["get_webhooks", *then]]
    assert server.refused == []


def test_a_request_that_the_sdk_cannot_send_is_rejected(server: SdkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's checks bite: an unknown query parameter, an unknown field, a wrong type, an unknown path."""
    monkeypatch.setenv("CLOUDFLARE_API_URL", server.api)
    api = CloudflareApi(FakeRateLimiter(), token=known_token())
    base = "/accounts/account/realtime/kit/app"
    for verb, path, body in [
        ("GET", f"{base}/recordings?page=1", None),
        ("GET", f"{base}/recordings?page_no=one", None),
        ("POST", f"{base}/recordings", {"max_seconds": 60}),
        ("POST", f"{base}/recordings", {"meeting_id": "m", "max_seconds": "60"}),
        ("POST", f"{base}/recordings", {"meeting_id": "m", "video_config": {"codec": "AV1"}}),
        ("PUT", f"{base}/recordings/r", {"action": "rewind"}),
        ("PATCH", f"{base}/meetings/m", {"recordOnStart": True}),
        ("PUT", f"{base}/meetings/m/sessions", {}),
    ]:
        before = len(server.refused)
        with pytest.raises(Exception):  # noqa: B017, PT011  # of which kind is not the matter here
            api.call(verb, path.removeprefix(base), body=body)
        assert len(server.refused) > before, (verb, path, body)
    assert server.called == []
