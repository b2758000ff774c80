"""Webhooks count only with Cloudflare's signature, and none of our responses makes Cloudflare drop an event."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recordings.domain.lifecycle import Status
from tests.support.deployed import Answer, Deployed


def body_of(provider_recording: str, meeting: str, **more: Any) -> bytes:
    recording = {
        "id": provider_recording,
        "recordingId": provider_recording,
        "meetingId": meeting,
        "status": "RECORDING",
    }
    return json.dumps({"event": "recording.statusUpdate", "recording": recording, **more}).encode()


def send(app: Deployed, body: bytes, **headers: str) -> Answer:
    signature = {"rtk-signature": app.standin.world.signer.signature(body)}
    return app.call("ReceiveWebhook", tenant="", scope="", body=body, headers=signature | headers)


def test_a_signed_webhook_imports_a_recording_that_cloudflare_started(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    provider_recording = app.standin.begin(room.meeting_id)
    response = send(app, body_of(provider_recording.id, room.meeting_id))
    assert (response.status, response.data) == (200, {"handled": True})
    recording = app.recordings.find_by_cloudflare_recording_id(provider_recording.id)
    assert recording is not None
    assert (recording.tenant_id, recording.status) == (tenant, Status.RECORDING)


@pytest.mark.parametrize("kind", ["without a signature", "with an empty one", "no base64", "a stranger's", "altered"])
def test_a_webhook_without_a_valid_signature_is_refused_and_changes_nothing(
    app: Deployed, tenant: str, kind: str
) -> None:
    room = app.room(tenant_id=tenant)
    provider_recording = app.standin.begin(room.meeting_id)
    body = body_of(provider_recording.id, room.meeting_id)
    signer = app.standin.world.signer
    headers = {
        "without a signature": {},
        "with an empty one": {"rtk-signature": ""},
        "no base64": {"rtk-signature": "%"},
        "a stranger's": {"rtk-signature": signer.signature(body, forged=True)},
        "altered": {"rtk-signature": signer.signature(body + b" ")},
    }[kind]
    response = app.call("ReceiveWebhook", tenant="", scope="", body=body, headers=headers)
    assert (response.status, response.code) == (401, "signature_invalid")
    assert app.recordings.find_by_cloudflare_recording_id(provider_recording.id) is None


@pytest.mark.parametrize(
    "body",
    [
        body_of("unknown", "unknown"),
        b'{"event": "meeting.started"}',
        b"[]",
        b"{",
        b"",
        b'{"event": "recording.statusUpdate"}',
        b'{"event": "recording.statusUpdate", "recording": {"id": 7}}',
    ],
    ids=["unknown meeting", "other event", "a list", "no JSON", "nothing", "no recording", "an id that is no text"],
)
def test_a_webhook_about_something_else_is_accepted_and_ignored(app: Deployed, body: bytes) -> None:
    response = send(app, body)
    assert (response.status, response.data) == (200, {"handled": False})


def test_a_webhook_larger_than_an_api_body_is_accepted(app: Deployed) -> None:
    """Cloudflare chooses the size. After a 413 it would drop the event."""
    assert send(app, body_of("unknown", "unknown", padding="x" * 70_000)).status == 200


def test_a_webhook_during_another_change_is_a_503(app: Deployed, tenant: str) -> None:
    """A start holds the room. Cloudflare repeats a webhook after a 5xx, and drops it after a 4xx."""
    room = app.room(tenant_id=tenant)
    provider_recording = app.standin.begin(room.meeting_id)
    now = datetime.now(UTC).replace(microsecond=0)
    app.rooms.acquire_lock(tenant, room.id, nonce="a start", now=now, until=now + timedelta(seconds=60))
    body = body_of(provider_recording.id, room.meeting_id)
    response = send(app, body)
    assert response.status == 503
    assert int(response.headers["retry-after"]) >= 1
    app.rooms.release_lock(tenant, room.id, nonce="a start")
    assert send(app, body).data == {"handled": True}
