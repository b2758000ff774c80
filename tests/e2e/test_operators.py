"""An operator works at Cloudflare directly, with the official SDK, while our API records the same meeting."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare

from tests.e2e.support import Json, a_room, get, in_status, provider_recordings, settle, start, stop, sync, until
from tests.support import sdk
from tools.local.stack import CLOUDFLARE_ACCOUNT, REALTIMEKIT_APP
from tools.local.standin.cloudflare import TOKEN


@pytest.fixture(scope="module")
def operator(running: Json) -> Iterator[Cloudflare]:
    with sdk.client(running["cloudflare_api_url"].removesuffix("/client/v4"), TOKEN) as client:
        yield client


def commands(operator: Cloudflare) -> Any:
    """Pauses, resumes or stops a recording."""
    send = operator.realtime_kit.recordings.pause_resume_stop_recording
    return partial(send, account_id=CLOUDFLARE_ACCOUNT, app_id=REALTIMEKIT_APP)


def test_a_recording_that_is_paused_at_cloudflare_is_recording_and_becomes_ready(
    api: httpx.Client, cloudflare: httpx.Client, operator: Cloudflare
) -> None:
    # Whether Cloudflare sends news of a pause is not documented: here it does.
    settle(cloudflare, webhook_statuses=["RECORDING", "PAUSED", "UPLOADING", "UPLOADED", "ERRORED"])
    command = commands(operator)
    room = a_room(api)
    recording_id = start(api)
    (provider_recording,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
    until(lambda: provider_recordings(cloudflare, room["cloudflare_meeting_id"])[0]["status"] == "RECORDING")
    for action in ("pause", "resume", "pause"):
        command(provider_recording["id"], action=action)
        assert sync(api)["synced_count"] == 0
        assert get(api, recording_id)["status"] == "recording"
    refused = api.post("/rooms/room_1/recordings/start")
    assert (refused.status_code, refused.json()["recording"]["id"]) == (409, recording_id)
    stop(api)
    in_status(api, recording_id, "ready")


def test_tracks_that_an_operator_records_do_not_keep_the_room_from_being_recorded(
    api: httpx.Client, cloudflare: httpx.Client, operator: Cloudflare
) -> None:
    room = a_room(api)
    meeting_id = room["cloudflare_meeting_id"]
    cloudflare.post("/join", json={"meeting_id": meeting_id}).raise_for_status()
    started = operator.realtime_kit.recordings.start_track_recording(
        REALTIMEKIT_APP, account_id=CLOUDFLARE_ACCOUNT, meeting_id=meeting_id
    )
    assert started.data is not None
    assert sync(api)["recordings"] == []
    recording_id = start(api)
    commands(operator)(started.data.recording.id, action="stop")
    # The news of its end brings it in.
    failed = until(lambda: api.get("/recordings", params={"status": "failed"}).json()["data"])
    assert get(api, failed[0]["id"])["failure"]["code"] == "track_recording"
    assert get(api, recording_id)["status"] == "recording"
    stop(api)
    in_status(api, recording_id, "ready")
