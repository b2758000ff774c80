"""Our client of RealtimeKit against the stand-in, where somebody else pauses recordings or records tracks."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from tests.e2e.support import until
from tests.support.fakes import FakeRateLimiter
from tests.support.secrets import known_token
from tests.support.standin import serving
from tools.local.standin.cloudflare import TOKEN


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("standin")) as address:
        yield address


@pytest.fixture
def provider(origin: str, monkeypatch: pytest.MonkeyPatch) -> RealtimeKitClient:
    control(origin, "/reset")
    control(origin, "/settings", start_seconds=0, upload_seconds=0)
    monkeypatch.setenv("CLOUDFLARE_API_URL", f"{origin}/client/v4")
    return RealtimeKitClient(FakeRateLimiter(), token=known_token(TOKEN))


def control(origin: str, path: str, **body: Any) -> Any:
    response = requests.post(f"{origin}/_control{path}", json=body, timeout=20)
    assert response.ok, response.text
    return response.json()["data"]


def elsewhere(origin: str, method: str, path: str, **body: Any) -> Any:
    """What an operator does with Cloudflare's API."""
    url = f"{origin}/client/v4/accounts/account/realtime/kit/app{path}"
    response = requests.request(method, url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert response.ok, response.text
    return response.json()["data"]


def reaches(provider: RealtimeKitClient, cloudflare_recording_id: str, status: ProviderStatus) -> None:
    until(lambda: provider.get(cloudflare_recording_id).status is status)


def everywhere(provider: RealtimeKitClient, meeting_id: str, cloudflare_recording_id: str) -> list[ProviderRecording]:
    """A recording as each read shows it that shows one which has ended, too."""
    listed = [*provider.list_by_meeting(meeting_id), *provider.list_page(1)[0]]
    return [
        provider.get(cloudflare_recording_id),
        *(one for one in listed if one.cloudflare_recording_id == cloudflare_recording_id),
    ]


def test_a_paused_recording_runs_and_can_be_stopped(origin: str, provider: RealtimeKitClient) -> None:
    meeting = provider.create_meeting("Lab", record_on_start=False)
    started = provider.start(meeting, max_seconds=None)
    reaches(provider, started.cloudflare_recording_id, ProviderStatus.RECORDING)
    for action, status in (("pause", ProviderStatus.PAUSED), ("resume", ProviderStatus.RECORDING)) * 2:
        elsewhere(origin, "PUT", f"/recordings/{started.cloudflare_recording_id}", action=action)
        active = provider.find_active(meeting)
        assert active is not None
        for read in (active, *everywhere(provider, meeting, started.cloudflare_recording_id)):
            assert (read.status, read.status.running, read.stopped_at) == (status, True, None)
    elsewhere(origin, "PUT", f"/recordings/{started.cloudflare_recording_id}", action="pause")
    assert provider.stop(started.cloudflare_recording_id).status is ProviderStatus.UPLOADING
    reaches(provider, started.cloudflare_recording_id, ProviderStatus.UPLOADED)


@pytest.mark.parametrize("rows", ["guide", "reference"])
@pytest.mark.parametrize("participants", [1, 2])
def test_a_track_recording_is_recognized_during_and_after_it(
    origin: str, provider: RealtimeKitClient, rows: str, participants: int
) -> None:
    control(origin, "/settings", track_rows=rows)
    meeting = provider.create_meeting("Lab", record_on_start=False)
    for number in range(participants):
        person = {"custom_participant_id": f"user-{number}", "preset_name": "group_call_host"}
        elsewhere(origin, "POST", f"/meetings/{meeting}/participants", **person)
    control(origin, "/join", meeting_id=meeting)
    track = elsewhere(origin, "POST", "/recordings/track", meeting_id=meeting)["recording"]["id"]
    reaches(provider, track, ProviderStatus.RECORDING)
    assert [one.tracks for one in everywhere(provider, meeting, track)] == [True] * 3
    elsewhere(origin, "PUT", f"/recordings/{track}", action="stop")
    reaches(provider, track, ProviderStatus.UPLOADED)
    assert [(one.tracks, one.download_url) for one in everywhere(provider, meeting, track)] == [(True, None)] * 3


@pytest.mark.parametrize("are_active", [False, True])
def test_a_track_recording_is_not_the_active_one(origin: str, provider: RealtimeKitClient, are_active: bool) -> None:
    """Whether Cloudflare calls it the active one is not documented."""
    control(origin, "/settings", tracks_are_active=are_active)
    meeting = provider.create_meeting("Lab", record_on_start=False)
    control(origin, "/join", meeting_id=meeting)
    elsewhere(origin, "POST", "/recordings/track", meeting_id=meeting)
    assert provider.find_active(meeting) is None
    whole = provider.start(meeting, max_seconds=None)
    elsewhere(origin, "POST", "/recordings/track", meeting_id=meeting)
    active = provider.find_active(meeting)
    assert active is not None
    assert active.cloudflare_recording_id == whole.cloudflare_recording_id
