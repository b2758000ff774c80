"""Asking cold storage for a copy: what is asked, what is answered, and what becomes of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recordings.domain.archive import Archive
from recordings.domain.errors import (
    RecordingNotArchived,
    RecordingNotFound,
    RetrievalRefused,
    Throttled,
    TierNotOffered,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import NOON, a_file, a_recording
from tests.unit.services.world import Killed, Trap, World

FILE = a_file(store="s3", key="cold")
DAY = timedelta(days=1)


def archived(storage_class: str = "GLACIER", **changes: Any) -> World:
    world = World()
    world.s3.storage_class = storage_class
    reported = {
        "status": Status.ARCHIVED,
        "file": FILE,
        "archive": Archive(state="stored", storage_class=storage_class),
    }
    world.recordings.add(a_recording(**reported | changes), lease_nonce=None)
    world.s3.put("cold", b"film", content_type="video/mp4")
    return world


@pytest.fixture
def world() -> World:
    return archived()


def stored(world: World) -> Recording:
    (recording,) = world.all()
    return recording


def archive_of(recording: Recording) -> Archive:
    assert recording.archive is not None
    return recording.archive


@pytest.mark.parametrize(
    ("storage_class", "tier", "waits"),
    [
        ("GLACIER", "expedited", timedelta(minutes=5)),
        ("GLACIER", "standard", timedelta(hours=5)),
        ("GLACIER", "bulk", timedelta(hours=12)),
        ("DEEP_ARCHIVE", "standard", timedelta(hours=12)),
        ("DEEP_ARCHIVE", "bulk", timedelta(hours=48)),
    ],
)
def test_a_copy_is_asked_for_and_it_is_said_when_to_expect_it(storage_class: str, tier: Any, waits: timedelta) -> None:
    world = archived(storage_class)
    after = world.restore(stored(world), days=3, tier=tier)
    archive = archive_of(after)
    assert (archive.state, archive.expected_at, archive.tier, archive.days) == ("restoring", NOON + waits, tier, 3)
    assert world.s3.restore_requests == [("cold", 3, tier)]
    assert after.status is Status.ARCHIVED
    assert stored(world) == after


def test_where_a_lifecycle_rule_has_moved_the_file_is_noticed(world: World) -> None:
    world.s3.storage_class = "DEEP_ARCHIVE"
    after = world.restore(stored(world), tier="standard")
    archive = archive_of(after)
    assert (archive.storage_class, archive.expected_at) == ("DEEP_ARCHIVE", NOON + timedelta(hours=12))


def test_a_tier_that_is_not_offered_is_refused_and_not_asked_for() -> None:
    world = archived("DEEP_ARCHIVE")
    before = stored(world)
    with pytest.raises(TierNotOffered, match="DEEP_ARCHIVE"):
        world.restore(before, tier="expedited")
    assert (world.s3.restore_requests, stored(world)) == ([], before)


def full(*given: object, **named: object) -> bool:
    raise RetrievalRefused(retry_after=300)


@pytest.mark.parametrize("running", [False, True], ids=["alone", "over a slower one"])
def test_a_fast_tier_without_room_is_told_and_changes_nothing(world: World, running: bool) -> None:
    if running:
        world.restore(stored(world), tier="bulk")
    world.s3.request_restore = full  # type: ignore[method-assign]
    before = stored(world)
    with pytest.raises(RetrievalRefused):
        world.restore(before, tier="expedited")
    after = stored(world)
    assert after == replace(before, version=before.version + 2)
    assert after.history == before.history


def test_the_decision_is_stored_before_cold_storage_is_asked(world: World) -> None:
    world.trap = Trap(99)
    world.restore(stored(world))
    assert world.trap.calls == [
        "recordings.get",
        "archive.restore_status",
        "recordings.save",
        "archive.restore_status",
        "archive.request_restore",
        "recordings.get_including_deleted",
        "recordings.save",
    ]
    assert archive_of(stored(world)).pending_since is None


def test_a_delete_that_is_faster_refuses_the_copy_and_nothing_is_asked_for(world: World) -> None:
    before, save = stored(world), world.recordings.save

    def late(one: Recording, after: Recording) -> None:
        world.recordings.save = save  # type: ignore[method-assign]
        world.delete(before)
        save(one, after)

    world.recordings.save = late  # type: ignore[method-assign, assignment]
    with pytest.raises(RecordingNotFound):
        world.restore(before)
    assert world.s3.restore_requests == []
    assert archive_of(stored(world)).state == "stored"


@pytest.mark.parametrize("arrived", [False, True], ids=["order lost", "answer lost"])
def test_an_order_that_may_be_lost_is_given_again_by_the_same_call_or_by_the_sync(world: World, arrived: bool) -> None:
    for again in ("call", "sync"):
        world = archived()
        world.trap = Trap(0, Throttled(), after=arrived, only="archive.request_restore")
        with pytest.raises(Throttled):
            world.restore(stored(world), days=3, tier="bulk")
        world.trap = Trap(-1)
        assert len(world.s3.restore_requests) == arrived
        if again == "call":
            after = world.restore(stored(world), days=3, tier="bulk")
        else:
            assert world.sync() == 0
            world.clock.advance(minutes=11)
            assert world.sync() == 1
            after = stored(world)
        assert world.s3.restore_requests == [("cold", 3, "bulk")] * (1 + arrived)
        assert (archive_of(after).state, archive_of(after).pending_since) == ("restoring", None)
        assert world.sync() == 0


def test_the_sync_waits_while_a_tier_has_no_room(world: World) -> None:
    world.trap = Trap(0, Killed(), only="archive.request_restore")
    with pytest.raises(Killed):
        world.restore(stored(world), tier="expedited")
    world.trap = Trap(-1)
    world.clock.advance(minutes=11)
    restore = world.s3.request_restore
    world.s3.request_restore = full  # type: ignore[method-assign]
    assert world.sync() == 0
    world.s3.request_restore = restore  # type: ignore[method-assign]
    assert world.sync() == 1
    assert [tier for *_, tier in world.s3.restore_requests] == ["expedited"]


def test_a_copy_that_is_on_its_way_is_told_also_when_we_do_not_know_of_it(world: World) -> None:
    # What a failed write left behind, or what an operator asked for.
    world.s3.request_restore("cold", days=2, tier="standard")
    for _ in range(2):
        after = archive_of(world.restore(stored(world), days=3, tier="bulk"))
        assert (after.state, after.tier, after.expected_at) == ("restoring", "bulk", NOON + timedelta(hours=12))
    assert len(world.s3.restore_requests) == 2


def test_asked_again_while_one_is_on_its_way_the_answer_is_the_same(world: World) -> None:
    first = world.restore(stored(world), tier="standard")
    world.clock.advance(hours=1)
    for tier in ("standard", "bulk"):
        assert world.restore(stored(world), tier=tier) == first
    assert len(world.s3.restore_requests) == 1
    faster = world.restore(stored(world), tier="expedited")
    assert archive_of(faster).expected_at == world.clock() + timedelta(minutes=5)
    assert [tier for *_, tier in world.s3.restore_requests] == ["standard", "expedited"]


def test_a_faster_tier_leaves_the_days_as_they_were_asked_for(world: World) -> None:
    world.restore(stored(world), days=3, tier="bulk")
    faster = world.restore(stored(world), days=9, tier="standard")
    assert world.s3.restore_requests == [("cold", 3, "bulk"), ("cold", 3, "standard")]
    assert archive_of(faster).days == 3


def test_a_copy_that_is_there_is_kept_longer_and_stays_readable(world: World) -> None:
    world.restore(stored(world))
    world.s3.finish_restore("cold", until=NOON + DAY)
    world.track_restore(stored(world))
    restore = world.s3.request_restore

    def longer(key: str, **named: Any) -> bool:
        restore(key, **named)
        world.s3.finish_restore(key, until=NOON + 9 * DAY)
        return True

    world.s3.request_restore = longer  # type: ignore[method-assign]
    after = world.restore(stored(world), days=9)
    assert (archive_of(after).state, archive_of(after).restored_until) == ("restored", NOON + 9 * DAY)


def test_a_class_that_can_be_read_at_once_is_not_asked_for() -> None:
    world = archived("GLACIER_IR")
    after = world.restore(stored(world), days=2)
    assert (archive_of(after).state, archive_of(after).restored_until) == ("restored", NOON + 2 * DAY)
    assert world.s3.restore_requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.PROCESSING, "file": None, "archive": None},
        {"status": Status.READY, "file": a_file(), "archive": None},
        {"status": Status.FAILED, "file": None, "archive": None},
        {"file": a_file(), "archive": Archive(state="moving", moved_from="key")},
    ],
)
def test_only_what_lies_in_cold_storage_is_restored(changes: dict[str, Any]) -> None:
    world = archived(**changes)
    with pytest.raises(RecordingNotArchived):
        world.restore(stored(world))
    assert world.s3.restore_requests == []


def test_what_is_missing_unknown_foreign_or_deleted_is_not_restored(world: World) -> None:
    recording = stored(world)
    world.s3.delete("cold")
    with pytest.raises(RecordingNotArchived):
        world.restore(recording)
    world.delete(recording)
    for one in (recording, replace(recording, id="rec_x"), replace(recording, tenant_id="tenant_2")):
        with pytest.raises(RecordingNotFound):
            world.restore(one)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("n", range(7))
def test_the_same_call_completes_one_that_died(world: World, n: int, after: bool) -> None:
    world.trap = Trap(n, Killed(), after=after)
    with pytest.raises(Killed):
        world.restore(stored(world), tier="bulk")
    world.trap = Trap(-1)
    world.restore(stored(world), tier="bulk")
    world.s3.finish_restore("cold", until=NOON + DAY)
    assert archive_of(world.track_restore(stored(world))).state == "restored"


# ---------------------------------------------------------------- what becomes of it


def test_a_copy_comes_and_goes_as_cold_storage_says(world: World) -> None:
    world.restore(stored(world))
    assert archive_of(world.track_restore(stored(world))).state == "restoring"
    world.s3.finish_restore("cold", until=NOON + DAY)
    there = world.track_restore(stored(world))
    assert (archive_of(there).state, archive_of(there).restored_until) == ("restored", NOON + DAY)
    assert world.track_restore(there) == there
    world.clock.advance(days=1)
    world.s3.expire_copy("cold")
    gone = world.track_restore(there)
    assert (archive_of(gone).state, archive_of(gone).restored_until) == ("stored", None)
    assert world.track_restore(gone) == gone
    assert gone.history == there.history


def test_an_end_that_is_told_while_a_newer_copy_is_there_changes_nothing(world: World) -> None:
    world.restore(stored(world))
    world.s3.finish_restore("cold", until=NOON + DAY)
    there = world.track_restore(stored(world))
    world.s3.finish_restore("cold", until=NOON + 5 * DAY)
    world.clock.advance(days=2)
    assert archive_of(world.track_restore(there)).restored_until == NOON + 5 * DAY


def test_a_deleted_recording_is_followed_and_one_that_is_not_archived_is_left(world: World) -> None:
    world.restore(stored(world))
    world.delete(stored(world))
    world.s3.finish_restore("cold", until=NOON + DAY)
    assert archive_of(world.track_restore(stored(world))).state == "restored"
    ready = World()
    ready.recordings.add(a_recording(status=Status.READY), lease_nonce=None)
    assert ready.track_restore(stored(ready)) == stored(ready)
    with pytest.raises(RecordingNotFound):
        world.track_restore(a_recording(id="rec_x"))


ORDERS: dict[str, Callable[[World], object]] = {
    "restore": lambda world: world.restore(stored(world)),
    "track": lambda world: world.track_restore(stored(world)),
    "arrive": lambda world: world.s3.finish_restore("cold", until=world.clock() + DAY),
    "pass": lambda world: world.clock.advance(days=2),
}


@pytest.mark.parametrize("order", ORDERS)
def test_repeats_in_any_order_change_nothing_more(world: World, order: str) -> None:
    world.restore(stored(world))
    ORDERS[order](world)
    world.track_restore(stored(world))
    once = stored(world)
    world.track_restore(stored(world))
    assert stored(world) == once
