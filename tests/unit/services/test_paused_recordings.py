"""A recording that is paused and resumed at Cloudflare stays `recording`, and can be stopped."""

from collections.abc import Callable

import pytest

from recordings.domain.errors import RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from tests.unit.services.world import World

# Everything that compares a recording with Cloudflare.
HEARERS: dict[str, Callable[[World], object]] = {
    "room sync": lambda world: world.sync_recordings(),
    "scheduled sync": lambda world: world.sync(),
    "webhook": lambda world: world.webhook("capture_1"),
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("hearer", HEARERS)
@pytest.mark.parametrize("minutes", [1, 60])
def test_a_pause_changes_nothing_however_long_it_is(world: World, hearer: str, minutes: int) -> None:
    recording = world.start()
    world.cloudflare.go("capture_1")
    before = world.recordings.get_including_deleted("tenant_1", recording.id)
    for status in (ProviderStatus.PAUSED, ProviderStatus.RECORDING, ProviderStatus.PAUSED):
        world.cloudflare._change("capture_1", status=status)
        world.clock.advance(minutes=minutes)
        HEARERS[hearer](world)
        assert world.recordings.get_including_deleted("tenant_1", recording.id) == before
        assert world.cloudflare.get("capture_1").status is status
    with pytest.raises(RoomAlreadyRecording):
        world.start()
    assert world.stop().status is Status.PROCESSING
    assert world.cloudflare.running() == []
    world.assert_sound()


@pytest.mark.parametrize("hearer", HEARERS)
def test_a_paused_recording_that_started_automatically_is_imported_as_recording(world: World, hearer: str) -> None:
    world.cloudflare.begin_by_itself("meeting_1")
    world.cloudflare._change("capture_1", status=ProviderStatus.PAUSED)
    HEARERS[hearer](world)
    (imported,) = world.all()
    assert (imported.status, imported.origin) == (Status.RECORDING, "auto")
    assert world.room().active_recording_id == imported.id
    world.assert_sound()


def test_the_end_of_the_session_ends_a_paused_recording(world: World) -> None:
    world.start()
    world.cloudflare.go("capture_1")
    world.cloudflare._change("capture_1", status=ProviderStatus.PAUSED, session_id="session_1")
    world.cloudflare.sessions_ended["session_1"] = world.clock()
    world.clock.advance(minutes=31)
    world.sync()
    assert world.cloudflare.running() == []
