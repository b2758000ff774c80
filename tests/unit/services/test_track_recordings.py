"""A track recording records participants and not the meeting: it locks no room, and its files are not fetched."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from recordings.domain.errors import NoActiveRecording
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.reconciliation import TRACKS
from tests.unit.services.world import World

# Everything that may import what Cloudflare has.
IMPORTERS: dict[str, Callable[[World, str], object]] = {
    "room sync": lambda world, cloudflare_recording_id: world.sync_recordings(),
    "scheduled sync": lambda world, cloudflare_recording_id: world.sync(),
    "webhook": lambda world, cloudflare_recording_id: world.webhook(cloudflare_recording_id),
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("importer", IMPORTERS)
def test_a_running_track_recording_is_not_imported_and_locks_no_room(world: World, importer: str) -> None:
    track = world.cloudflare.record_tracks("meeting_1")
    IMPORTERS[importer](world, track.cloudflare_recording_id)
    assert world.all() == []
    with pytest.raises(NoActiveRecording):
        world.stop()
    assert world.start().status is Status.RECORDING
    IMPORTERS[importer](world, track.cloudflare_recording_id)
    assert [one.cloudflare_recording_id for one in world.all()] == ["capture_2"]
    assert {one.cloudflare_recording_id for one in world.cloudflare.running()} == {"capture_1", "capture_2"}
    world.assert_sound()


@pytest.mark.parametrize("importer", IMPORTERS)
def test_an_ended_track_recording_is_imported_as_failed(world: World, importer: str) -> None:
    track = world.cloudflare.record_tracks("meeting_1")
    world.cloudflare.upload(track.cloudflare_recording_id)
    world.cloudflare._change(track.cloudflare_recording_id, download_url=None)
    IMPORTERS[importer](world, track.cloudflare_recording_id)
    (imported,) = world.all()
    assert (imported.status, imported.failure) == (Status.FAILED, TRACKS)
    assert world.executions.started == {}
    assert world.r2.objects == {}
    world.assert_sound()


@pytest.mark.parametrize("status", [ProviderStatus.RECORDING, ProviderStatus.UPLOADED])
def test_a_track_recording_that_only_the_listing_shows_is_one(
    world: World, monkeypatch: pytest.MonkeyPatch, status: ProviderStatus
) -> None:
    """A listing contains the name of the file. The response to one recording may not."""
    track = world.cloudflare._change(world.cloudflare.record_tracks("meeting_1").cloudflare_recording_id, status=status)
    listed = [replace(track, auto_started=None)]
    monkeypatch.setattr(world.cloudflare, "list_by_meeting", lambda meeting_id: iter(listed))
    world.cloudflare._change(track.cloudflare_recording_id, tracks=False)
    world.sync_recordings()
    assert [one.failure for one in world.all()] == ([] if status is ProviderStatus.RECORDING else [TRACKS])
    assert world.room().active_recording_id is None


def test_a_room_can_release_a_meeting_that_only_records_tracks(world: World) -> None:
    world.cloudflare.record_tracks("meeting_1")
    world.delete_room()
    assert [one.cloudflare_recording_id for one in world.cloudflare.running()] == ["capture_1"]
