"""Hostile requests to each API function: none of them causes a 5xx."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.domain.ids import is_cloudflare_id
from recordings.domain.lifecycle import Status
from recordings.http.requests import WebhookNotification, parse_webhook
from tests.support.context import Context
from tests.support.deployed import FUNCTIONS, Deployed
from tests.support.hostile import CLAIMS, EVENTS, JSON

ROUTES = sorted(
    name
    for name, function in FUNCTIONS.items()
    if any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values()) and name != "ReceiveWebhook"
)


@pytest.fixture(scope="module")
def inhabited(made: Deployed) -> Iterator[Deployed]:
    """A room of the tenant with recordings, which the requests may name."""
    room = made.room(tenant_id=CLAIMS["tenant_id"], id="room_1")
    made.seed(tenant_id=room.tenant_id, room_id=room.id, id="rec_01KE9EDY806S2TGZ7Z3QHSBYMG", status=Status.PROCESSING)
    yield made
    made.empty()


@settings(max_examples=250)
@given(name=st.sampled_from(ROUTES), event=EVENTS)
def test_a_hostile_request_has_a_response_below_500(inhabited: Deployed, name: str, event: dict[str, Any]) -> None:
    claims = event.pop("claims")
    response = inhabited.handler(name)(
        {
            **event,
            "version": "2.0",
            "requestContext": {
                "requestId": "request-1",
                "http": {"method": "POST", "path": event["rawPath"]},
                "authorizer": {"jwt": {"claims": claims, "scopes": None}},
            },
        },
        Context(3600),
    )
    assert response["statusCode"] < 500, response["body"]
    assert len(response["body"]) < 5_000


WEBHOOKS = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"event": st.just("recording.statusUpdate"), "recording": JSON},
        optional={"meeting": JSON},
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {
            "event": st.just("recording.statusUpdate"),
            "recording": st.fixed_dictionaries(
                {}, optional={"id": JSON, "recordingId": st.text() | JSON, "meetingId": st.text() | JSON}
            ),
        }
    ).map(lambda value: json.dumps(value).encode()),
)


@given(body=WEBHOOKS)
def test_a_webhook_names_safe_ids_or_none(body: bytes) -> None:
    notification = parse_webhook(body)
    assert notification is None or is_cloudflare_id(notification.cloudflare_recording_id)
    assert notification is None or notification.meeting_id is None or is_cloudflare_id(notification.meeting_id)


def a_webhook(**recording: Any) -> bytes:
    return json.dumps({"event": "recording.statusUpdate", "recording": recording}).encode()


@pytest.mark.parametrize("id", ["..", "a/b", "a#b", "a%2Fb", "", "x" * 129, "é", 7, None, ["c"], {"c": 1}])
def test_a_webhook_with_an_impossible_id_is_ignored(id: Any) -> None:
    assert parse_webhook(a_webhook(recordingId=id, meetingId="m1")) is None
    assert parse_webhook(a_webhook(recordingId="c1", meetingId=id)) == WebhookNotification(cloudflare_recording_id="c1")


def test_a_deeply_nested_webhook_is_ignored() -> None:
    assert parse_webhook(b"[" * 200_000) is None
    assert parse_webhook(b'{"event": ' + b"9" * 5_000 + b"}") is None


@pytest.mark.parametrize(
    "key",
    ["a file", "", "recordings/acme", "recordings/acme/room_1/rec_1/1/", "recordings/a#b/r/rec_1/1/f", "x/" * 500],
)
def test_a_restored_file_without_recording_is_ignored(made: Deployed, key: str) -> None:
    event = {"detail-type": "Object Restore Completed", "detail": {"object": {"key": key}}}
    assert made.handler("TrackRestore")(event, Context(3600)) == {"recording_id": None, "version": None}
