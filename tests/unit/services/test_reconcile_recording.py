"""Carrying out a decision: the order of the calls, and what remains if the function dies."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from recordings.domain.errors import ProviderTimeout, RoomAlreadyRecording
from recordings.domain.lifecycle import Status
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.reconciliation import LOST, NEVER_BEGAN, NEVER_UPLOADED, Action
from recordings.domain.recording import Recording
from tests.support.builders import NOON, a_capture
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    """Return a world whose room has been recording for five minutes."""
    world = World()
    world.start()
    world.clock.advance(minutes=5)
    return world


def owner(world: World) -> RecordingOwner:
    return RecordingOwner.of(world.room())


def stored(world: World) -> Recording:
    return world.of(next(iter(world.cloudflare.captured.values())))


def test_a_running_recording_is_imported_and_locks_its_room() -> None:
    world = World()
    provider_recording = world.cloudflare.begin_by_itself("meeting_1")
    listed = replace(provider_recording, auto_started=None)
    recording = world.reconcile()(owner(world), None, listed)
    assert recording is not None
    assert (recording.status, recording.origin) == (Status.RECORDING, "auto")
    assert world.room().active_recording_id == recording.id
    assert world.executions.started == {}
    world.assert_sound()


def test_an_ended_recording_is_imported_with_its_times_and_processed() -> None:
    world = World()
    provider_recording = world.cloudflare.begin_by_itself("meeting_1")
    world.clock.advance(minutes=2)
    world.cloudflare.end(provider_recording.cloudflare_recording_id)
    world.clock.advance(minutes=2)
    recording = world.reconcile()(
        owner(world), None, world.cloudflare.upload(provider_recording.cloudflare_recording_id)
    )
    assert recording is not None
    assert (recording.status, recording.created_at) == (Status.PROCESSING, NOON)
    assert recording.stopped_at == NOON + timedelta(minutes=2)
    assert list(world.executions.started) == [(recording.id, 1)]
    assert world.room().active_recording_id is None


def test_a_lost_recording_is_imported_as_failed_and_not_processed() -> None:
    world = World()
    provider_recording = world.cloudflare.begin_by_itself("meeting_1")
    recording = world.reconcile()(owner(world), None, world.cloudflare.lose(provider_recording.cloudflare_recording_id))
    assert recording is not None
    assert (recording.status, recording.failure) == (Status.FAILED, LOST)
    assert [change.status for change in recording.history] == [Status.RECORDING, Status.FAILED]
    assert world.executions.started == {}
    world.assert_sound()


def test_without_an_owner_nothing_is_imported() -> None:
    world = World()
    provider_recording = world.cloudflare.begin_by_itself("meeting_1")
    assert world.reconcile()(None, None, provider_recording) is None
    assert world.reconcile()(None, None, None) is None
    assert world.all() == []


def test_a_running_recording_is_not_imported_into_a_locked_room(world: World) -> None:
    other = a_capture(cloudflare_recording_id="capture_9")
    with pytest.raises(RoomAlreadyRecording):
        world.reconcile()(owner(world), None, other)
    world.assert_sound()


def test_a_purged_recording_is_not_imported_again(world: World) -> None:
    provider_recording = world.cloudflare.end("capture_1")
    recording = stored(world)
    world.reconcile()(None, recording, provider_recording)
    world.memory.purge(stored(world))
    assert world.reconcile()(owner(world), None, provider_recording) is None
    assert world.all() == []


def test_an_end_is_stored_before_its_execution_starts(world: World) -> None:
    provider_recording = world.cloudflare.end("capture_1")
    world.trap = Trap(99)
    recording = world.reconcile()(None, stored(world), provider_recording)
    assert world.trap.calls == ["recordings.save", "executions.start"]
    assert recording == stored(world)
    assert (recording.status, recording.history[-1].cause) == (Status.PROCESSING, "capture_ended")
    assert world.room().active_recording_id is None


def test_an_end_that_another_call_stored_first_starts_no_execution(world: World) -> None:
    before, provider_recording = stored(world), world.cloudflare.end("capture_1")
    world.recordings.save(before, before.failed(LOST, at=world.clock(), cause="x"))
    assert world.reconcile()(None, before, provider_recording) is None
    assert world.executions.started == {}


def test_a_decided_stop_is_sent_at_once(world: World) -> None:
    before = stored(world)
    world.recordings.save(before, before.stop_requested(at=world.clock()))
    for status in (ProviderStatus.INVOKED, ProviderStatus.PAUSED, ProviderStatus.RECORDING, ProviderStatus.UNKNOWN):
        world.cloudflare._change("capture_1", status=status)
        assert world.reconcile()(None, stored(world), world.cloudflare.get("capture_1")) is None
        assert world.actions[-1] is Action.STOP
        assert world.cloudflare.running() == []


def test_a_recording_that_never_began_is_stopped_after_the_deadline(world: World) -> None:
    assert world.reconcile()(None, stored(world), world.cloudflare.get("capture_1")) is None
    assert len(world.cloudflare.running()) == 1
    world.clock.advance(minutes=10, seconds=1)
    assert world.reconcile()(None, stored(world), world.cloudflare.get("capture_1")) is None
    assert world.cloudflare.running() == []
    assert stored(world).status is Status.RECORDING


def test_a_recording_that_is_unknown_at_its_stop_is_left_to_the_next_comparison(world: World) -> None:
    world.clock.advance(hours=1)
    provider_recording = world.cloudflare.get("capture_1")
    world.cloudflare.forget("capture_1")
    assert world.reconcile()(None, world.all()[0], provider_recording) is None
    world.clock.advance(minutes=10)
    recording = world.reconcile()(None, world.all()[0], None)
    assert recording is not None
    assert (recording.status, recording.failure) == (Status.FAILED, LOST)
    assert world.room().active_recording_id is None
    world.assert_sound()


def test_a_stop_without_effect_is_sent_again(world: World) -> None:
    world.cloudflare.go("capture_1")
    world.stop()
    world.cloudflare.go("capture_1")
    world.clock.advance(minutes=6)
    assert world.reconcile()(None, stored(world), world.cloudflare.get("capture_1")) is None
    assert world.cloudflare.running() == []


def test_a_dead_execution_gets_a_new_attempt(world: World) -> None:
    before = world.stop()
    provider_recording = world.cloudflare.upload("capture_1")
    world.executions.end(before)
    assert world.reconcile()(None, before, provider_recording, is_running=False) is None
    world.clock.advance(minutes=5)
    after = world.reconcile()(None, before, provider_recording, is_running=False)
    assert after is not None
    assert (after.attempt, after.version) == (before.attempt + 1, before.version + 1)
    assert world.executions.is_running(after)
    assert (after.id, 2) in world.executions.started


def test_the_recording_itself_is_written_only_when_it_changes(world: World) -> None:
    before = world.stop()
    provider_recording = world.cloudflare.upload("capture_1")
    for _ in range(3):
        assert world.reconcile()(None, before, provider_recording) is None
    assert stored(world) == before
    assert len(world.executions.started) == 1


def test_our_bucket_is_checked_before_a_recording_fails(world: World) -> None:
    recording = stored(world)
    world.memory.recordings[recording.tenant_id, recording.id] = replace(recording, delivery_key="delivered/a.mp4")
    world.r2.put("delivered/a.mp4", b"film", content_type="video/mp4")
    after = world.reconcile()(None, stored(world), world.cloudflare.lose("capture_1"))
    assert after is not None
    assert after.status is Status.PROCESSING
    assert list(world.executions.started) == [(recording.id, 1)]
    assert world.reconcile()(None, after, world.cloudflare.get("capture_1")) is None
    assert world.process(after) == "ready"
    world.assert_sound()


def test_a_recording_without_a_file_anywhere_fails(world: World) -> None:
    recording = stored(world)
    world.memory.recordings[recording.tenant_id, recording.id] = replace(recording, delivery_key="delivered/a.mp4")
    after = world.reconcile()(None, stored(world), world.cloudflare.lose("capture_1"))
    assert after is not None
    assert (after.status, after.failure) == (Status.FAILED, LOST)
    assert world.actions == [Action.FAIL]


@pytest.mark.parametrize("delivers", [False, True])
def test_a_recording_that_neither_begins_nor_stops_fails_and_unlocks_its_room(delivers: bool) -> None:
    world = World(delivers=delivers)
    world.start()
    world.cloudflare.deaf.add("capture_1")
    for minutes, status in ((15, Status.RECORDING), (14, Status.RECORDING), (2, Status.RECORDING), (10, Status.FAILED)):
        world.clock.advance(minutes=minutes)
        world.sync()
        assert stored(world).status is status
    assert stored(world).failure == NEVER_BEGAN
    assert world.room().active_recording_id is None
    assert world.actions == [Action.STOP, Action.STOP, Action.FAIL]
    # It does not stop later syncs either.
    assert world.sync() == 0
    world.assert_sound()


def test_a_recording_whose_stop_has_an_effect_does_not_fail(world: World) -> None:
    world.clock.advance(hours=1)
    assert world.sync() == 0
    assert stored(world).status is Status.RECORDING
    world.cloudflare.upload("capture_1")
    world.sync()
    assert stored(world).status is Status.PROCESSING
    assert world.process(stored(world)) == "ready"


def test_a_recording_whose_session_is_over_is_stopped(world: World) -> None:
    world.cloudflare.go("capture_1")
    world.clock.advance(minutes=24)
    world.cloudflare.sessions_ended["session_1"] = world.clock() - timedelta(minutes=10)
    world.sync()
    assert len(world.cloudflare.running()) == 1
    world.clock.advance(minutes=1)
    world.sync()
    assert world.cloudflare.running() == []
    assert world.actions == [Action.STOP]
    world.sync()
    assert stored(world).status is Status.PROCESSING


def test_a_recording_with_a_running_or_unknown_session_is_checked_seldom(world: World) -> None:
    world.cloudflare.go("capture_1")
    world.trap = trap = Trap(10**6)
    for _ in range(24):
        world.clock.advance(minutes=5)
        world.sync()
    assert trap.calls.count("provider.find_session_end") == 4
    assert len(world.cloudflare.running()) == 1
    assert world.actions == []


def test_a_session_that_has_just_ended_is_left_to_cloudflare(world: World) -> None:
    world.cloudflare.go("capture_1")
    world.clock.advance(minutes=30)
    world.cloudflare.sessions_ended["session_1"] = world.clock() - timedelta(minutes=5)
    world.sync()
    assert world.actions == []


def test_a_recording_longer_than_cloudflare_can_record_ends_and_unlocks_its_room(world: World) -> None:
    world.cloudflare.go("capture_1")
    world.cloudflare.deaf.add("capture_1")
    world.clock.advance(hours=24, minutes=10)
    world.sync()
    assert stored(world).status is Status.RECORDING
    world.clock.advance(seconds=1)
    world.sync()
    assert stored(world).status is Status.PROCESSING
    assert world.room().active_recording_id is None
    world.clock.advance(days=7, seconds=1)
    world.sync()
    assert stored(world).status is Status.PROCESSING
    world.clock.advance(minutes=10)
    world.sync()
    assert stored(world).failure == NEVER_UPLOADED
    world.assert_sound()


def test_an_unannounced_delivery_is_found_at_the_deadline() -> None:
    world = World(delivers=True)
    recording = world.start()
    world.cloudflare.go("capture_1")
    world.clock.advance(minutes=1)
    world.stop()
    world.cloudflare.deliver("capture_1")
    assert world.process(recording) is None
    world.clock.advance(hours=6)
    assert world.process(recording) == "ready"
    world.assert_sound()


def test_a_change_that_another_call_stored_first_is_dropped(world: World) -> None:
    stale = stored(world)
    world.stop()
    assert world.reconcile()(None, stale, world.cloudflare.get("capture_1")) is None
    assert world.reconcile()(None, stale, world.cloudflare.lose("capture_1")) is None
    # Only actions that had an effect are counted.
    assert world.actions == []
    world.assert_sound()


def test_concurrent_comparisons_change_a_recording_once(world: World) -> None:
    provider_recording, recording = world.cloudflare.end("capture_1"), stored(world)
    outcomes: list[Recording | None] = []
    barrier = threading.Barrier(16)

    def go() -> None:
        barrier.wait()
        outcomes.append(world.reconcile()(owner(world), recording, provider_recording))

    threads = [threading.Thread(target=go) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in outcomes if one is not None]) == 1
    assert world.actions.count(Action.END) == 1
    assert len(world.executions.started) == 1
    world.assert_sound()


SCENES: dict[str, Callable[[World], ProviderRecording]] = {
    "runs": lambda world: world.cloudflare.begin_by_itself("meeting_1"),
    "over": lambda world: world.cloudflare.end(world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id),
    "uploaded": lambda world: world.cloudflare.upload(
        world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id
    ),
    "lost": lambda world: world.cloudflare.lose(world.cloudflare.begin_by_itself("meeting_1").cloudflare_recording_id),
}


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("error", [Killed(), ProviderTimeout()], ids=["dies", "time-out"])
def test_the_next_comparison_completes_one_that_died_at_any_call(scene: str, known: bool, error: BaseException) -> None:
    for n in range(7):
        for after in (False, True):
            world = World()
            provider_recording = SCENES[scene](world)
            listed = replace(provider_recording, auto_started=None)
            if known:
                world.reconcile()(owner(world), None, replace(listed, status=ProviderStatus.RECORDING))
            only = "provider" if isinstance(error, ProviderTimeout) else ""
            world.trap = Trap(n, error, after=after, only=only)
            try:
                attempt(partial(look, world, listed))
            except Killed:
                pass
            world.let_go()
            look(world, listed)
            world.assert_sound()
            recording = world.of(provider_recording)
            wanted = {"runs": Status.RECORDING, "lost": Status.FAILED}.get(scene, Status.PROCESSING)
            assert recording.status is wanted
            assert wanted is not Status.PROCESSING or (recording.id, 1) in world.executions.started


def look(world: World, provider_recording: ProviderRecording) -> None:
    world.reconcile()(
        owner(world),
        world.recordings.find_by_cloudflare_recording_id(provider_recording.cloudflare_recording_id),
        provider_recording,
    )
