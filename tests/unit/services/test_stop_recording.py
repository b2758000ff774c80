"""Stopping a recording, also if Cloudflare fails or the function dies."""

import threading
from collections.abc import Callable

import pytest

from recordings.domain.errors import (
    NoActiveRecording,
    ProviderError,
    ProviderFailure,
    ProviderNotFound,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    RoomAlreadyRecording,
    RoomNotFound,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.reconciliation import LOST
from recordings.domain.recording import Recording
from tests.support.builders import NOON
from tests.unit.services.world import Killed, Trap, World, attempt

# A successful stop: read the room, read the recording, save, stop at Cloudflare, save, start the execution.
CALLS = 6
# A stop that imports first: room, find active, owner, get, find imported, add, save, stop, save, start.
IMPORTING_CALLS = 10

NEXT: dict[str, Callable[[World], object]] = {
    "start": World.start,
    "stop": World.stop,
    "webhook": World.webhook,
    "check": World.check,
}


@pytest.fixture
def world() -> World:
    """Return a world whose room has been recording for five minutes."""
    world = World()
    world.start()
    world.clock.advance(minutes=5)
    return world


@pytest.fixture
def foreign() -> World:
    """Return a world with an automatic recording that is not imported yet."""
    world = World()
    world.cloudflare.begin_by_itself("meeting_1")
    world.clock.advance(minutes=5)
    return world


def test_a_stop_ends_the_recording_unlocks_the_room_and_starts_the_execution(world: World) -> None:
    recording = world.stop()
    assert (recording.status, recording.stopped_at) == (Status.PROCESSING, world.clock())
    assert [change.cause for change in recording.history] == ["api_start", "api_stop"]
    assert world.recordings.get("tenant_1", recording.id) == recording
    assert list(world.executions.started) == [(recording.id, 1)]
    world.settle()
    world.assert_settled()


def test_a_second_stop_finds_nothing_to_stop(world: World) -> None:
    world.stop()
    with pytest.raises(NoActiveRecording):
        world.stop()


def test_an_unknown_room_cannot_be_stopped() -> None:
    world = World()
    world.rooms.remove(world.room())
    with pytest.raises(RoomNotFound):
        world.stop()


def test_a_room_that_is_not_recorded_cannot_be_stopped() -> None:
    with pytest.raises(NoActiveRecording):
        World().stop()


def test_an_automatic_recording_can_be_stopped(foreign: World) -> None:
    recording = foreign.stop()
    assert (recording.origin, recording.status, recording.created_at) == ("auto", Status.PROCESSING, NOON)
    assert [change.cause for change in recording.history] == ["auto_started", "api_stop"]
    foreign.settle()
    foreign.assert_settled()


def test_a_recording_that_has_ended_at_cloudflare_is_stopped(world: World) -> None:
    world.cloudflare.upload("capture_1")
    assert world.stop().status is Status.PROCESSING
    world.settle()
    world.assert_settled()


def test_a_recording_unknown_to_cloudflare_is_stopped(world: World) -> None:
    del world.cloudflare.captured["capture_1"]
    recording = world.stop()
    assert recording.status is Status.PROCESSING
    assert (recording.id, 1) in world.executions.started
    assert world.room().active_recording_id is None


def test_a_stop_returns_the_end_that_the_webhook_stored_first(world: World) -> None:
    stop = world.cloudflare.stop

    def stop_and_tell(cloudflare_recording_id: str) -> object:
        stop(cloudflare_recording_id)
        return world.webhook(cloudflare_recording_id)

    world.cloudflare.stop = stop_and_tell  # type: ignore[assignment,method-assign]
    recording = world.stop()
    assert (recording.status, recording.history[-1].cause) == (Status.PROCESSING, "capture_ended")
    assert recording == world.recordings.get("tenant_1", recording.id)
    world.settle()
    world.assert_settled()


def test_concurrent_stops_return_the_same_end(world: World) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(8)

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(world.stop))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stopped = [one for one in outcomes if isinstance(one, Recording)]
    assert stopped
    assert {one.status for one in stopped} == {Status.PROCESSING}
    # The others came after the end, or read the recording directly before it.
    others = [one for one in outcomes if not isinstance(one, Recording)]
    assert all(isinstance(one, NoActiveRecording) for one in others), others
    world.settle()
    world.assert_settled()


@pytest.mark.parametrize("status", [Status.FAILED, Status.PROCESSING])
def test_a_recording_that_runs_after_its_stored_end_is_stopped(world: World, status: Status) -> None:
    """It failed as lost, or its stop had no effect. Without this rule no caller could end it."""
    recording = world.all()[0]
    failed = recording.failed(LOST, at=world.clock(), cause="capture_failed")
    ended = recording.ended(at=world.clock(), cause="capture_ended")
    world.recordings.save(recording, failed if status is Status.FAILED else ended)
    with pytest.raises(RoomAlreadyRecording):
        world.start()
    with pytest.raises(NoActiveRecording):
        world.stop()
    assert world.cloudflare.running() == []
    assert world.start().status is Status.RECORDING


# ---------------------------------------------------------------- the function dies


def test_a_stop_makes_as_many_calls_as_are_interrupted_below(world: World, foreign: World) -> None:
    for one, calls in ((world, CALLS), (foreign, IMPORTING_CALLS)):
        one.trap = Trap(99)
        one.stop()
        assert len(one.trap.calls) == calls, one.trap.calls


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(CALLS))
def test_each_later_call_recovers_a_stop_that_died(world: World, n: int, after: bool, then: str) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.stop()
    world.let_go()
    attempt(lambda: NEXT[then](world))
    world.assert_sound()
    world.settle()
    world.assert_settled()


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(IMPORTING_CALLS))
def test_a_stop_that_dies_beside_an_automatic_recording_is_recovered(
    foreign: World, n: int, after: bool, then: str
) -> None:
    foreign.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        foreign.stop()
    foreign.let_go()
    attempt(lambda: NEXT[then](foreign))
    foreign.assert_sound()
    foreign.settle()
    foreign.assert_settled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(CALLS))
def test_a_stop_that_died_can_be_repeated(world: World, n: int, after: bool) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.stop()
    world.let_go()
    again = attempt(world.stop)
    over = n == CALLS - 1 or (n == CALLS - 2 and after)
    assert isinstance(again, NoActiveRecording) if over else isinstance(again, Recording)
    (recording,) = world.all()
    assert recording.status is Status.PROCESSING


@pytest.mark.parametrize(("n", "after"), [(2, True), (3, False), (3, True), (4, False), (4, True), (5, False)])
def test_a_decided_stop_is_never_lost(world: World, n: int, after: bool) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.stop()
    world.let_go()
    for _ in range(3):
        # No call is repeated, and no webhook comes.
        world.sync()
        world.clock.advance(minutes=11)
    (recording,) = world.all()
    assert world.cloudflare.running() == []
    assert recording.status is Status.PROCESSING
    assert world.room().active_recording_id is None
    assert list(world.executions.started) == [(recording.id, 1)]


def test_a_stop_that_the_table_refuses_makes_no_call_to_cloudflare(world: World) -> None:
    world.trap = Trap(0, Throttled(), only="recordings.save")
    with pytest.raises(Throttled):
        world.stop()
    assert len(world.cloudflare.running()) == 1
    assert world.executions.started == {}


def test_an_execution_that_step_functions_refuses_is_started_by_the_sync(world: World) -> None:
    world.trap = Trap(0, Throttled(), only="executions.start")
    recording = world.stop()
    assert (recording.status, world.executions.started) == (Status.PROCESSING, {})
    world.trap = Trap(-1)
    world.clock.advance(minutes=11)
    world.sync()
    assert list(world.executions.started) == [(recording.id, 1)]


# ---------------------------------------------------------------- Cloudflare fails


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failure", [ProviderTimeout, ProviderError, ProviderThrottled, ProviderRefused])
def test_a_stop_that_cloudflare_fails_stays_decided_and_can_be_repeated(
    world: World, failure: type[ProviderFailure], after: bool
) -> None:
    (before,) = world.all()
    world.trap = Trap(0, failure(), after=after, only="provider")
    with pytest.raises(failure):
        world.stop()
    assert world.all() == [before.stop_requested(at=world.clock())]
    assert world.room().active_recording_id == before.id
    assert world.executions.started == {}
    world.trap = Trap(-1)
    assert world.stop().status is Status.PROCESSING
    world.settle()
    world.assert_settled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failure", [ProviderTimeout, ProviderError, ProviderThrottled, ProviderRefused])
@pytest.mark.parametrize("n", range(3))
def test_a_failed_stop_of_an_automatic_recording_can_be_repeated(
    foreign: World, n: int, failure: type[ProviderFailure], after: bool
) -> None:
    foreign.trap = Trap(n, failure(), after=after, only="provider")
    with pytest.raises(failure):
        foreign.stop()
    foreign.assert_sound()
    foreign.trap = Trap(-1)
    assert foreign.stop().status is Status.PROCESSING
    foreign.settle()
    foreign.assert_settled()


def test_a_recording_that_disappears_during_its_import_raises_an_error(foreign: World) -> None:
    foreign.trap = Trap(1, ProviderNotFound(), only="provider")
    with pytest.raises((ProviderNotFound, NoActiveRecording)):
        foreign.stop()
    assert foreign.all() == []


def test_a_recording_that_ends_during_its_import_is_stored_and_not_stopped(foreign: World) -> None:
    active = foreign.cloudflare.find_active

    def just_before_the_end(meeting_id: str) -> object:
        found = active(meeting_id)
        foreign.cloudflare.upload("capture_1")
        return found

    foreign.cloudflare.find_active = just_before_the_end  # type: ignore[assignment,method-assign]
    with pytest.raises(NoActiveRecording):
        foreign.stop()
    del foreign.cloudflare.find_active
    assert foreign.of(foreign.cloudflare.get("capture_1")).status is Status.PROCESSING
    foreign.settle()
    foreign.assert_settled()


def test_a_paused_recording_can_be_stopped(world: World) -> None:
    world.cloudflare._change("capture_1", status=ProviderStatus.PAUSED)
    assert world.stop().status is Status.PROCESSING
    assert world.cloudflare.running() == []
