"""A stuck recording gets one new attempt, and the old execution changes nothing more."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from recordings.domain.errors import ConcurrentUpdate, RecordingNotFound, RecordingNotRecoverable
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.reconciliation import LOST
from recordings.domain.recording import Recording
from recordings.domain.transfer import Attempt, UploadState
from recordings.services.recordings.recover_recording import SAME_CALL
from recordings.services.transfer.mark import MarkFailed, MarkReady, MarkStalled
from tests.support.builders import a_recording, a_verified_file
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    """Return a recording in processing whose file has been available for an hour."""
    world = World()
    world.start()
    world.clock.advance(minutes=1)
    world.stop()
    world.cloudflare.upload("capture_1")
    world.clock.advance(hours=1)
    return world


def stored(world: World) -> Recording:
    (recording,) = world.all()
    return recording


def test_a_new_attempt_is_stored_and_its_execution_replaces_the_old_one(world: World) -> None:
    before = stored(world)
    world.trap = Trap(99)
    after = world.recover(before)
    assert world.trap.calls == ["recordings.get", "recordings.save", "executions.replace", "provider.get"]
    assert after == replace(before, attempt=2, version=before.version + 1, recovered_at=world.clock())
    assert stored(world) == after
    assert (world.executions.ended, world.executions.is_running(after)) == ([(before.id, 1)], True)
    assert world.process(after) == "ready"
    world.assert_sound()


def test_a_recovered_recording_is_no_longer_stalled(world: World) -> None:
    world.cloudflare.captured["capture_1"] = replace(
        world.cloudflare.get("capture_1"), status=world.cloudflare.end("capture_1").status
    )
    world.clock.advance(hours=6)
    assert world.process(stored(world)) == "stalled"
    after = world.recover(stored(world))
    assert (after.stalled, after.progress) == (False, None)
    assert world.process(after) is None
    world.clock.advance(hours=6)
    assert world.process(after) == "stalled"


def test_calls_within_seconds_are_one_attempt(world: World) -> None:
    first = world.recover(stored(world))
    world.clock.advance(seconds=SAME_CALL.total_seconds() - 1)
    assert world.recover(first) == first
    world.clock.advance(seconds=1)
    assert world.recover(first).attempt == 3


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PROCESSING])
def test_only_a_recording_in_processing_is_recovered(status: Status) -> None:
    world = World()
    recording = a_recording(status=status)
    world.recordings.add(recording, lease_nonce=None)
    with pytest.raises(RecordingNotRecoverable):
        world.recover(recording)
    assert world.all() == [recording]
    assert world.executions.started == {}


def test_an_unknown_foreign_or_deleted_recording_is_not_found(world: World) -> None:
    recording = stored(world)
    world.delete(recording)
    for one in (recording, replace(recording, id="rec_x"), replace(recording, tenant_id="tenant_2")):
        with pytest.raises(RecordingNotFound):
            world.recover(one)


def test_concurrent_calls_make_one_attempt(world: World) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(32)
    recording = stored(world)

    def go() -> None:
        barrier.wait()
        outcomes.append(attempt(lambda: world.recover(recording)))

    threads = [threading.Thread(target=go) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(world).attempt == 2
    assert set(outcomes) == {stored(world)}
    assert list(world.executions.started) == [(recording.id, 1), (recording.id, 2)]
    assert world.executions.is_running(stored(world))
    assert not world.executions.is_running(recording)


def test_the_tasks_of_the_old_execution_change_nothing(world: World) -> None:
    old = stored(world)
    replaced = Attempt(tenant_id="tenant_1", recording_id=old.id, attempt=1)
    after = world.recover(old)
    ports = world.ports("recordings")
    mark_ready = MarkReady(**world.ports("recordings", "provider", "store"), limits=world.limits)
    assert mark_ready(replaced, a_verified_file(), key="key", errored=False) is Status.PROCESSING
    assert MarkFailed(**ports)(replaced, LOST) is Status.PROCESSING
    MarkStalled(**world.ports("recordings", "store"), limits=world.limits)(replaced)
    assert world.check(old) == UploadState(state="over")
    assert world.process(old, zombie=True) == "over"
    assert stored(world) == after
    assert world.process(after) == "ready"
    file = stored(world).file
    assert file is not None
    assert "/2/" in file.key


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(3))
def test_the_same_call_completes_one_that_died(world: World, n: int, after: bool) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.recover(stored(world))
    world.trap = Trap(-1)
    recovered = world.recover(stored(world))
    assert recovered.attempt == 2
    assert world.executions.is_running(recovered)
    assert (recovered.id, 2) in world.executions.started
    assert world.process(recovered) == "ready"
    world.assert_sound()


def test_the_sync_starts_the_execution_of_a_call_that_died(world: World) -> None:
    world.trap = Trap(2, Killed())
    with pytest.raises(Killed):
        world.recover(stored(world))
    world.trap = Trap(-1)
    world.clock.advance(minutes=11)
    world.sync()
    recovered = stored(world)
    assert (recovered.id, recovered.attempt) in world.executions.started
    assert world.process(recovered) == "ready"


def test_a_concurrent_change_is_read_again_and_endless_ones_raise_an_error(world: World) -> None:
    world.trap = Trap(1, ConcurrentUpdate())
    assert world.recover(stored(world)).attempt == 2
    world.clock.advance(seconds=11)

    def save(*given: object) -> None:
        raise ConcurrentUpdate

    world.recordings.save = save  # type: ignore[method-assign, assignment]
    with pytest.raises(ConcurrentUpdate):
        world.recover(stored(world))
    assert stored(world).attempt == 2


def test_a_file_that_was_stored_meanwhile_is_not_fetched_again(world: World) -> None:
    recording = stored(world)
    assert world.process(recording) == "ready"
    with pytest.raises(RecordingNotRecoverable):
        world.recover(recording)
    assert stored(world).stopped_at == recording.stopped_at
    assert world.clock() - (recording.stopped_at or world.clock()) == timedelta(hours=1)


def test_a_recording_that_cloudflare_still_records_is_stopped(world: World) -> None:
    # Cloudflare accepted the stop an hour ago and did not carry it out.
    world.cloudflare.captured["capture_1"] = replace(
        world.cloudflare.get("capture_1"), status=ProviderStatus.RECORDING, stopped_at=None, download_url=None
    )
    assert world.recover(stored(world)).attempt == 2
    assert world.cloudflare.running() == []


def test_a_recording_without_an_id_at_cloudflare_cannot_be_recovered() -> None:
    world = World()
    recording = a_recording(status=Status.PROCESSING, cloudflare_recording_id=None)
    world.recordings.add(recording, lease_nonce=None)
    with pytest.raises(RecordingNotRecoverable):
        world.recover(recording)
    assert (world.all(), world.executions.started) == ([recording], {})
