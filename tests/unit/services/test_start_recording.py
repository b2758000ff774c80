"""Starting a recording, also if Cloudflare fails or the function dies."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from recordings.domain.errors import (
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
from tests.support.builders import NOON
from tests.unit.services.world import Killed, Trap, World, attempt

# A successful start: acquire the lock, find the active recording, start, find an imported one, add.
CALLS = 5

NEXT: dict[str, Callable[[World], object]] = {
    "start": World.start,
    "stop": World.stop,
    "webhook": World.webhook,
    "check": World.check,
}


@pytest.fixture
def world() -> World:
    return World()


def test_a_start_returns_a_recording_that_locks_the_room(world: World) -> None:
    recording = world.start()
    (provider_recording,) = world.cloudflare.running()
    assert (recording.status, recording.origin, recording.cloudflare_recording_id) == (
        Status.RECORDING,
        "api",
        provider_recording.cloudflare_recording_id,
    )
    assert (recording.created_at, recording.started_at) == (NOON, NOON)
    assert [change.cause for change in recording.history] == ["api_start"]
    assert world.room().active_recording_id == recording.id
    assert world.room().lease_nonce is None
    world.assert_sound()


def test_a_start_of_an_unknown_room_makes_no_call_to_cloudflare(world: World) -> None:
    world.rooms.remove(world.room())
    world.trap = Trap(99, only="provider")
    with pytest.raises(RoomNotFound):
        world.start()
    assert world.trap.calls == []


def test_a_second_start_is_refused_and_names_the_first(world: World) -> None:
    first = world.start()
    with pytest.raises(RoomAlreadyRecording) as refusal:
        world.start()
    assert refusal.value.blocker == first
    assert len(world.cloudflare.captured) == 1
    assert world.room().active_recording_id == first.id


def test_a_start_during_another_start_makes_no_call_to_cloudflare(world: World) -> None:
    world.trap = Trap(1, Killed())
    with pytest.raises(Killed):
        world.start()
    world.trap = Trap(99, only="provider")
    with pytest.raises(RoomAlreadyRecording):
        world.start()
    assert world.trap.calls == []


def test_an_automatic_recording_is_imported_and_refuses_the_start(world: World) -> None:
    provider_recording = world.cloudflare.begin_by_itself("meeting_1")
    world.clock.advance(seconds=10)
    with pytest.raises(RoomAlreadyRecording) as refusal:
        world.start()
    blocker = world.of(provider_recording)
    assert refusal.value.blocker == blocker
    assert (blocker.origin, blocker.created_at) == ("auto", NOON)
    assert [change.cause for change in blocker.history] == ["auto_started"]
    assert world.room().active_recording_id == blocker.id
    world.settle()
    world.assert_settled()


def test_an_automatic_recording_during_a_start_refuses_it(world: World) -> None:
    start = world.cloudflare.start

    def too_late(meeting_id: str, **named: Any) -> object:
        world.cloudflare.begin_by_itself(meeting_id)
        return start(meeting_id, **named)

    world.cloudflare.start = too_late  # type: ignore[assignment,method-assign]
    with pytest.raises(RoomAlreadyRecording) as refusal:
        world.start()
    assert refusal.value.blocker is not None
    assert refusal.value.blocker.origin == "auto"
    world.settle()
    world.assert_settled()


def test_a_lost_start_does_not_claim_an_automatic_recording(world: World) -> None:
    def lost(meeting_id: str, **named: Any) -> object:
        world.cloudflare.begin_by_itself(meeting_id)
        raise ProviderTimeout

    world.cloudflare.start = lost  # type: ignore[assignment,method-assign]
    with pytest.raises((RoomAlreadyRecording, ProviderFailure)):
        world.start()
    world.settle()
    world.assert_settled()


def test_a_failed_start_does_not_claim_an_earlier_recording(world: World) -> None:
    """Another program of the same account started it. Cloudflare does not report who started a recording."""
    world.cloudflare.start(world.room().meeting_id, max_seconds=None)

    def lost(meeting_id: str, **named: Any) -> object:
        raise ProviderTimeout

    world.cloudflare.start = lost  # type: ignore[method-assign, assignment]
    with pytest.raises(RoomAlreadyRecording):
        world.start()
    world.settle()
    world.assert_settled()


def test_a_room_can_be_recorded_again_and_again(world: World) -> None:
    for _ in range(3):
        world.start()
        world.clock.advance(minutes=1)
        world.stop()
    assert len({one.id for one in world.all()}) == 3
    world.settle()
    world.assert_settled()


def test_of_many_concurrent_starts_one_succeeds(world: World) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(16)

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(world.start))

    threads = [threading.Thread(target=go) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [outcome for outcome in outcomes if isinstance(outcome, RoomAlreadyRecording)]
    assert (len(outcomes), len(refused)) == (16, 15)
    assert len(world.cloudflare.captured) == 1
    world.settle()
    world.assert_settled()


# ---------------------------------------------------------------- the function dies


def test_a_start_makes_as_many_calls_as_are_interrupted_below(world: World) -> None:
    world.trap = Trap(99)
    world.start()
    assert len(world.trap.calls) == CALLS, world.trap.calls


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(CALLS))
def test_each_later_call_recovers_a_start_that_died(world: World, n: int, after: bool, then: str) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.start()
    world.let_go()
    attempt(lambda: NEXT[then](world))
    world.assert_sound()
    world.settle()
    world.assert_settled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(CALLS))
def test_after_a_start_that_died_the_room_can_be_recorded(world: World, n: int, after: bool) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.start()
    world.let_go()
    again = attempt(world.start)
    # Either this start succeeds, or its error has the recording of the dead one, which can be stopped.
    if isinstance(again, RoomAlreadyRecording):
        assert again.blocker is not None
        assert again.blocker.cloudflare_recording_id in world.cloudflare.captured
    (running,) = world.cloudflare.running()
    assert world.room().active_recording_id == world.of(running).id
    assert world.stop().status is Status.PROCESSING


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(8))
def test_a_start_that_dies_beside_an_automatic_recording_is_recovered(
    world: World, n: int, after: bool, then: str
) -> None:
    world.cloudflare.begin_by_itself("meeting_1")
    world.trap = Trap(n, Killed(), after=after)
    try:
        attempt(world.start)
    except Killed:
        pass
    world.let_go()
    attempt(lambda: NEXT[then](world))
    world.assert_sound()
    world.settle()
    world.assert_settled()


@pytest.mark.parametrize("n", range(CALLS))
def test_a_dead_start_and_a_dead_successor_are_recovered(world: World, n: int) -> None:
    for second in range(CALLS + 1):
        world = World()
        world.trap = Trap(n, Killed(), after=True)
        with pytest.raises(Killed):
            world.start()
        world.let_go()
        world.trap = Trap(second, Killed(), after=True)
        try:
            attempt(world.start)
        except Killed:
            pass
        world.settle()
        world.assert_settled()


def test_a_start_whose_lease_expired_cannot_lock_the_room(world: World) -> None:
    get = world.recordings.find_by_cloudflare_recording_id
    outcomes: list[object] = []

    def slow(cloudflare_recording_id: str) -> object:
        if not outcomes:
            outcomes.append(None)
            world.clock.advance(seconds=61)
            outcomes.append(attempt(world.start))
        return get(cloudflare_recording_id)

    world.recordings.find_by_cloudflare_recording_id = slow  # type: ignore[assignment,method-assign]
    first = attempt(world.start)
    assert len(world.cloudflare.captured) == 1
    world.assert_sound()
    # Both are about one recording: one call stores it, and the error of the other has it.
    (recording,) = world.all()
    reported = [
        outcome.blocker if isinstance(outcome, RoomAlreadyRecording) else outcome for outcome in (first, outcomes[1])
    ]
    assert reported == [recording, recording]
    world.settle()
    world.assert_settled()


# ---------------------------------------------------------------- Cloudflare fails

FAILURES = [ProviderTimeout, ProviderError, ProviderThrottled, ProviderRefused, ProviderNotFound]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("n", range(3))
def test_a_provider_failure_leaves_nothing_half_done(
    world: World, n: int, failure: type[ProviderFailure], after: bool
) -> None:
    world.trap = Trap(n, failure(), after=after, only="provider")
    outcome = attempt(world.start)
    world.trap = Trap(-1)
    # No lease remains: the call can be repeated at once.
    assert world.room().lease_nonce is None
    again = attempt(world.start)
    assert len(world.cloudflare.running()) == 1
    assert isinstance(again, RoomAlreadyRecording) or not isinstance(outcome, type(again))
    world.assert_sound()
    world.settle()
    world.assert_settled()


@pytest.mark.parametrize("failure", [ProviderTimeout, ProviderError, ProviderThrottled])
def test_a_start_whose_response_was_lost_succeeds(world: World, failure: type[ProviderFailure]) -> None:
    world.trap = Trap(1, failure(), after=True, only="provider")
    recording = world.start()
    (provider_recording,) = world.cloudflare.running()
    assert (recording.cloudflare_recording_id, recording.origin) == (provider_recording.cloudflare_recording_id, "api")
    assert world.room().active_recording_id == recording.id


@pytest.mark.parametrize("failure", FAILURES)
def test_a_start_that_never_arrived_raises_the_error(world: World, failure: type[ProviderFailure]) -> None:
    world.trap = Trap(1, failure(), only="provider")
    with pytest.raises(failure):
        world.start()
    assert world.cloudflare.captured == {}
    assert world.all() == []
    world.trap = Trap(-1)
    assert world.start().status is Status.RECORDING


def test_a_recording_that_cannot_be_stored_is_stopped_and_the_call_can_be_repeated(world: World) -> None:
    world.trap = Trap(0, Throttled(), only="recordings.add")
    with pytest.raises(Throttled):
        world.start()
    assert world.cloudflare.running() == []
    assert world.all() == []
    world.trap = Trap(-1)
    assert world.start().status is Status.RECORDING
    # A sync imports what was recorded in between.
    world.sync()
    assert len(world.all()) == len(world.cloudflare.captured) == 2
    world.settle()
    world.assert_settled()


def test_a_recording_that_can_neither_be_stored_nor_stopped_is_imported_by_the_sync(world: World) -> None:
    world.trap = Trap(0, Throttled(), only="recordings.add")
    stop = world.cloudflare.stop
    world.cloudflare.stop = _fails_from(1, stop)  # type: ignore[assignment,method-assign]
    with pytest.raises(Throttled):
        world.start()
    world.trap = Trap(-1)
    world.sync()
    (running,) = world.cloudflare.running()
    assert world.room().active_recording_id == world.of(running).id
    world.cloudflare.stop = stop  # type: ignore[method-assign]
    world.settle()
    world.assert_settled()


def test_a_start_is_sent_once(world: World) -> None:
    world.trap = Trap(1, ProviderTimeout(), only="provider")
    with pytest.raises(ProviderTimeout):
        world.start()
    assert world.trap.calls.count("provider.start") == 1


def test_the_next_call_finds_a_recording_whose_response_was_lost_twice(world: World) -> None:
    world.trap = Trap(1, ProviderTimeout(), after=True, only="provider")
    world.cloudflare.find_active = _fails_from(2, world.cloudflare.find_active)  # type: ignore[method-assign, assignment]
    with pytest.raises(ProviderTimeout):
        world.start()
    assert world.all() == []
    del world.cloudflare.find_active
    world.trap = Trap(-1)
    with pytest.raises(RoomAlreadyRecording):
        world.start()
    (provider_recording,) = world.cloudflare.running()
    assert world.room().active_recording_id == world.of(provider_recording).id


def _fails_from(n: int, method: Callable[..., object]) -> Callable[..., object]:
    calls = iter(range(1, 1000))

    def call(*given: object) -> object:
        if next(calls) >= n:
            raise ProviderTimeout
        return method(*given)

    return call
