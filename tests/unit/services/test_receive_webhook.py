"""Webhooks from Cloudflare: repeated, late, forged, and received by a function that dies."""

import threading

import pytest

from recordings.domain.errors import ProviderFailure, ProviderTimeout, RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure
from tests.support.builders import a_file, a_room
from tests.unit.services.world import Killed, Trap, World, attempt

# No webhook makes more calls than this.
MAX_CALLS = 10


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ended() -> World:
    """Return a world whose recording has just ended at Cloudflare."""
    world = World()
    world.start()
    world.clock.advance(minutes=5)
    world.cloudflare.end("capture_1")
    return world


@pytest.fixture
def foreign() -> World:
    """Return a world with an automatic recording."""
    world = World()
    world.cloudflare.begin_by_itself("meeting_1")
    return world


def test_a_webhook_without_a_recording_is_not_handled(world: World) -> None:
    world.trap = Trap(99)
    assert not world.webhook("")
    assert world.all() == []


def test_a_webhook_of_an_unowned_meeting_calls_nothing(world: World) -> None:
    provider_recording = world.cloudflare.begin_by_itself("elsewhere")
    world.trap = Trap(99, only="provider")
    assert not world.webhook(provider_recording.cloudflare_recording_id, "elsewhere")
    assert not world.webhook(provider_recording.cloudflare_recording_id, None)
    assert world.trap.calls == []


def test_a_webhook_of_a_recording_that_cloudflare_does_not_have_is_not_handled(world: World) -> None:
    assert not world.webhook("made_up", "meeting_1")
    assert world.all() == []


def test_a_webhook_cannot_assign_a_recording_to_another_meeting(world: World) -> None:
    world.rooms.add(a_room(id="room_2", tenant_id="tenant_2", meeting_id="meeting_2"))
    provider_recording = world.cloudflare.begin_by_itself("meeting_2")
    assert not world.webhook(provider_recording.cloudflare_recording_id, "meeting_1")
    assert world.all() == []


def test_a_webhook_imports_a_recording_that_started_automatically(foreign: World) -> None:
    assert foreign.webhook()
    recording = foreign.of(foreign.cloudflare.get("capture_1"))
    assert (recording.origin, recording.status) == ("auto", Status.RECORDING)
    assert foreign.room().active_recording_id == recording.id
    foreign.settle()
    foreign.assert_settled()


def test_a_webhook_of_an_end_imports_and_processes_an_unknown_recording(foreign: World) -> None:
    foreign.clock.advance(minutes=5)
    foreign.cloudflare.upload("capture_1")
    assert foreign.webhook()
    recording = foreign.of(foreign.cloudflare.get("capture_1"))
    assert recording.status is Status.PROCESSING
    assert foreign.room().active_recording_id is None
    foreign.assert_settled()


def test_an_end_unlocks_the_room_and_starts_the_execution(ended: World) -> None:
    assert ended.webhook()
    (recording,) = ended.all()
    assert (recording.status, recording.stopped_at) == (Status.PROCESSING, ended.clock())
    assert recording.history[-1].cause == "capture_ended"
    ended.assert_settled()


def test_a_webhook_of_a_running_recording_changes_nothing(world: World) -> None:
    recording = world.start()
    for _ in range(3):
        assert world.webhook()
    assert world.all() == [recording]
    assert world.executions.started == {}


def test_a_repeated_webhook_changes_nothing_more(ended: World) -> None:
    ended.webhook()
    after = ended.all()
    for _ in range(3):
        assert ended.webhook()
    assert ended.all() == after
    assert len(ended.executions.started) == 1


def test_a_waiting_task_is_completed_once(ended: World) -> None:
    ended.webhook()
    assert ended.check(token="token of the execution") is None
    ended.cloudflare.upload("capture_1")
    ended.webhook()
    ended.webhook()
    assert ended.executions.completed_tokens == ["token of the execution"]


@pytest.mark.parametrize("status", [Status.READY, Status.FAILED])
def test_a_late_webhook_changes_nothing(ended: World, status: Status) -> None:
    ended.webhook()
    (before,) = ended.all()
    now = ended.clock()
    after = (
        before.stored(a_file(), duration_seconds=1, partial=False, at=now, cause="x")
        if status is Status.READY
        else before.failed(Failure("c", "m"), at=now, cause="x")
    )
    after = ended.recordings.save(before, after)
    ended.trap = Trap(99, only="provider")
    assert ended.webhook()
    assert ended.all() == [after]
    assert ended.trap.calls == []


def test_a_webhook_of_our_recording_that_cloudflare_no_longer_has_is_handled(ended: World) -> None:
    before = ended.all()
    del ended.cloudflare.captured["capture_1"]
    assert ended.webhook("capture_1")
    assert ended.all() == before


def test_a_webhook_during_a_start_fails_and_its_repeat_succeeds(world: World) -> None:
    world.trap = Trap(2, Killed(), after=True)
    with pytest.raises(Killed):
        world.start()
    world.trap = Trap(-1)
    # The lease of the dead start still holds the room.
    with pytest.raises(RoomAlreadyRecording):
        world.webhook()
    assert world.all() == []
    world.let_go()
    assert world.webhook()
    assert world.room().active_recording_id == world.of(world.cloudflare.get("capture_1")).id


@pytest.mark.parametrize("n", range(3))
def test_an_error_of_cloudflare_makes_it_repeat_the_webhook(ended: World, n: int) -> None:
    ended.trap = Trap(n, ProviderTimeout(), only="provider")
    outcome = attempt(ended.webhook)
    assert outcome is True or isinstance(outcome, ProviderFailure)
    ended.trap = Trap(-1)
    ended.webhook()
    ended.assert_settled()


def test_concurrent_webhooks_import_once(foreign: World) -> None:
    foreign.cloudflare.upload("capture_1")
    barrier = threading.Barrier(12)
    outcomes: list[object] = []

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(foreign.webhook))

    threads = [threading.Thread(target=go) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 12
    assert len(foreign.executions.started) == 1
    foreign.assert_settled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(MAX_CALLS))
@pytest.mark.parametrize("upload", [False, True], ids=["ended", "uploaded"])
def test_a_repeated_webhook_completes_one_whose_function_died(n: int, after: bool, upload: bool) -> None:
    for begin in (World.start, lambda world: world.cloudflare.begin_by_itself("meeting_1")):
        world = World()
        begin(world)
        world.clock.advance(minutes=1)
        (world.cloudflare.upload if upload else world.cloudflare.end)("capture_1")
        world.trap = Trap(n, Killed(), after=after)
        try:
            world.webhook()
        except Killed:
            pass
        world.assert_sound()
        world.let_go()
        world.webhook()
        world.assert_settled()


def test_the_calls_of_a_webhook_are_all_interrupted_above(foreign: World) -> None:
    foreign.cloudflare.upload("capture_1")
    foreign.trap = Trap(99)
    foreign.webhook()
    assert 0 < len(foreign.trap.calls) <= MAX_CALLS
