"""Hints from Cloudflare: repeated, late, forged, and taken by a function that dies."""

import threading

import pytest

from recordings.domain.errors import ProviderFailure, ProviderTimeout, RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Failure
from tests.support.builders import a_file, a_room
from tests.unit.services.world import Killed, Trap, World, attempt

# No webhook makes more calls than this.
MOST_CALLS = 10


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ended() -> World:
    """We record, and the capture has just ended by itself."""
    world = World()
    world.start()
    world.clock.advance(minutes=5)
    world.cloudflare.end("capture_1")
    return world


@pytest.fixture
def foreign() -> World:
    """A capture that Cloudflare began by itself."""
    world = World()
    world.cloudflare.begin_by_itself("meeting_1")
    return world


def test_a_hint_without_a_capture_is_not_ours(world: World) -> None:
    world.trap = Trap(99)
    assert not world.webhook("")
    assert world.all() == []


def test_an_unknown_meeting_is_not_ours_and_never_asked_about(world: World) -> None:
    provider_recording = world.cloudflare.begin_by_itself("elsewhere")
    world.trap = Trap(99, only="provider")
    assert not world.webhook(provider_recording.cloudflare_recording_id, "elsewhere")
    assert not world.webhook(provider_recording.cloudflare_recording_id, None)
    assert world.trap.calls == []


def test_an_unknown_capture_of_a_known_meeting_is_not_ours(world: World) -> None:
    assert not world.webhook("made_up", "meeting_1")
    assert world.all() == []


def test_a_capture_of_another_meeting_is_not_imported_because_a_body_says_so(world: World) -> None:
    world.rooms.add(a_room(id="room_2", tenant_id="tenant_2", meeting_id="meeting_2"))
    provider_recording = world.cloudflare.begin_by_itself("meeting_2")
    assert not world.webhook(provider_recording.cloudflare_recording_id, "meeting_1")
    assert world.all() == []


def test_a_capture_that_cloudflare_began_is_taken_over(foreign: World) -> None:
    assert foreign.webhook()
    recording = foreign.of(foreign.cloudflare.get("capture_1"))
    assert (recording.origin, recording.status) == ("auto", Status.RECORDING)
    assert foreign.room().active_recording_id == recording.id
    foreign.settle()
    foreign.assert_settled()


def test_a_capture_that_is_known_only_when_it_is_over_is_processed(foreign: World) -> None:
    foreign.clock.advance(minutes=5)
    foreign.cloudflare.upload("capture_1")
    assert foreign.webhook()
    recording = foreign.of(foreign.cloudflare.get("capture_1"))
    assert recording.status is Status.PROCESSING
    assert foreign.room().active_recording_id is None
    foreign.assert_settled()


def test_an_end_frees_the_room_and_starts_the_run(ended: World) -> None:
    assert ended.webhook()
    (recording,) = ended.all()
    assert (recording.status, recording.stopped_at) == (Status.PROCESSING, ended.clock())
    assert recording.history[-1].cause == "capture_ended"
    ended.assert_settled()


def test_a_hint_about_what_still_runs_changes_nothing(world: World) -> None:
    recording = world.start()
    for _ in range(3):
        assert world.webhook()
    assert world.all() == [recording]
    assert world.runs.started == {}


def test_a_repeated_hint_changes_nothing_more(ended: World) -> None:
    ended.webhook()
    after = ended.all()
    for _ in range(3):
        assert ended.webhook()
    assert ended.all() == after
    assert len(ended.runs.started) == 1


def test_a_run_that_waits_is_woken_once(ended: World) -> None:
    ended.webhook()
    assert ended.check(token="token of the run") is None
    ended.cloudflare.upload("capture_1")
    ended.webhook()
    ended.webhook()
    assert ended.runs.woken == ["token of the run"]


@pytest.mark.parametrize("status", [Status.READY, Status.FAILED])
def test_a_hint_that_comes_after_the_end_changes_nothing(ended: World, status: Status) -> None:
    ended.webhook()
    (before,) = ended.all()
    now = ended.clock()
    after = (
        before.stored(a_file(), duration_seconds=1, partial=False, at=now, cause="x")
        if status is Status.READY
        else before.failed(Failure("c", "m"), at=now, cause="x")
    )
    ended.recordings.save(before, after)
    ended.trap = Trap(99, only="provider")
    assert ended.webhook()
    assert ended.all() == [after]
    assert ended.trap.calls == []


def test_a_hint_about_what_cloudflare_forgot_is_ours_and_changes_nothing(ended: World) -> None:
    before = ended.all()
    del ended.cloudflare.captured["capture_1"]
    assert ended.webhook("capture_1")
    assert ended.all() == before


def test_a_hint_during_a_start_is_sent_again_and_then_understood(world: World) -> None:
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
def test_a_failing_cloudflare_makes_it_send_again(ended: World, n: int) -> None:
    ended.trap = Trap(n, ProviderTimeout(), only="provider")
    outcome = attempt(ended.webhook)
    assert outcome is True or isinstance(outcome, ProviderFailure)
    ended.trap = Trap(-1)
    ended.webhook()
    ended.assert_settled()


def test_simultaneous_hints_import_once(foreign: World) -> None:
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
    assert len(foreign.runs.started) == 1
    foreign.assert_settled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(MOST_CALLS))
@pytest.mark.parametrize("upload", [False, True], ids=["ended", "uploaded"])
def test_a_hint_whose_function_died_is_understood_when_it_comes_again(n: int, after: bool, upload: bool) -> None:
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
    assert 0 < len(foreign.trap.calls) <= MOST_CALLS
