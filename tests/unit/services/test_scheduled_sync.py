"""The scheduled sync: what it lists, which items it processes, and how many calls it needs."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from recordings.domain.errors import (
    InfrastructureError,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
    RecordingsError,
    RoomNotFound,
)
from recordings.domain.lifecycle import Status
from recordings.domain.provider_recording import FILE_RETENTION, ProviderRecording, ProviderStatus
from recordings.domain.recording import Recording
from recordings.domain.sync import FULL_SYNC_INTERVAL, SyncItem, SyncWindow
from recordings.services.sync.begin_sync import LEASE_DURATION
from recordings.services.sync.scan_provider_recordings import BATCH_SIZE, MAX_PAGES, OVERLAP
from tests.support.builders import NOON, a_capture, a_recording, a_room
from tests.unit.services.world import Killed, Trap, World, attempt


@pytest.fixture
def world() -> World:
    return World()


def scanned_items(world: World, window: SyncWindow | None = None) -> list[SyncItem]:
    return [item for batch in world.scan(window).batches for item in batch]


def ids(looks: list[SyncItem]) -> list[str | None]:
    return [item.cloudflare_recording_id for item in looks]


def captured(world: World, *ages: timedelta, meeting_id: str = "meeting_1") -> None:
    """Add uploaded recordings that were invoked so long ago. The first one is the newest."""
    for age in sorted(ages, reverse=True):
        at = world.clock() - age
        number = len(world.cloudflare.captured) + 1
        world.cloudflare.captured[f"past_{number}"] = a_capture(
            cloudflare_recording_id=f"past_{number}",
            status=ProviderStatus.UPLOADED,
            invoked_at=at,
            started_at=at,
            stopped_at=at,
            download_url="https://files/1",
            url_expires_at=world.clock() + timedelta(days=7),
            auto_started=True,
            meeting_id=meeting_id,
        )


# ---------------------------------------------------------------- how far it lists


def test_without_a_watermark_a_sync_lists_everything(world: World) -> None:
    captured(world, timedelta(days=300), timedelta(0))
    scan = world.scan(SyncWindow(None, False))
    assert (scan.seen, scan.newest, scan.next_page) == (2, NOON, None)


def test_a_sync_lists_back_to_an_hour_before_the_watermark(world: World) -> None:
    mark = NOON - timedelta(hours=5)
    ages = [timedelta(hours=5) + OVERLAP + timedelta(seconds=late) for late in (-1, 0, 1, 2)]
    captured(world, timedelta(0), *ages)
    scan = world.scan(SyncWindow(mark, False))
    assert scan.seen == 3
    assert world.scan(SyncWindow(mark, True)).seen == 5


def test_a_full_sync_lists_back_to_the_file_retention_and_the_first_one_lists_everything(world: World) -> None:
    captured(world, timedelta(0), FILE_RETENTION, FILE_RETENTION + timedelta(seconds=1), timedelta(days=300))
    assert world.scan(SyncWindow(None, True)).seen == 4
    assert world.scan(SyncWindow(NOON, True)).seen == 2
    # Unless the last successful sync is longer ago than that.
    assert world.scan(SyncWindow(NOON - timedelta(days=200), True)).seen == 3


def test_a_scan_requests_no_page_after_its_end(world: World) -> None:
    world.cloudflare.page_size = 2
    captured(world, *(timedelta(hours=hours) for hours in range(10)))
    world.trap = Trap(999, only="provider.list_page")
    assert world.scan(SyncWindow(NOON - timedelta(hours=1), False)).next_page is None
    assert len(world.trap.calls) == 2


def test_a_long_list_takes_several_scans_and_the_first_has_the_newest_recording(world: World) -> None:
    world.cloudflare.page_size = 2
    captured(world, *(timedelta(minutes=minutes) for minutes in range(2 * MAX_PAGES + 3)))
    first = world.scan()
    assert (first.seen, first.newest, first.next_page) == (2 * MAX_PAGES, NOON, MAX_PAGES + 1)
    rest = world.scan(page=MAX_PAGES + 1)
    assert (rest.seen, rest.next_page) == (3, None)
    assert {
        *ids(scanned_items(world)),
        *(item.cloudflare_recording_id for batch in rest.batches for item in batch),
    } == set(world.cloudflare.captured)


def test_a_list_that_ends_with_a_full_page_has_no_next_page(world: World) -> None:
    world.cloudflare.page_size = 2
    captured(world, *(timedelta(minutes=minutes) for minutes in range(2 * MAX_PAGES)))
    assert world.scan().next_page is None


def test_items_come_in_batches(world: World) -> None:
    captured(world, *(timedelta(minutes=minutes) for minutes in range(2 * BATCH_SIZE + 5)))
    assert [len(batch) for batch in world.scan().batches] == [BATCH_SIZE, BATCH_SIZE, 5]


def test_a_list_that_shifts_between_pages_loses_no_recording(world: World) -> None:
    world.cloudflare.page_size = 3
    captured(world, *(timedelta(minutes=minutes) for minutes in range(1, 10)))
    recent = world.cloudflare.list_page

    def shifting(number: int) -> object:
        page = recent(number)
        captured(world, timedelta(0))
        return page

    world.cloudflare.list_page = shifting  # type: ignore[assignment,method-assign]
    assert {f"past_{n}" for n in range(1, 10)} <= set(ids(scanned_items(world)))
    assert max(Counter(ids(scanned_items(world))).values()) == 1


# ---------------------------------------------------------------- which items it processes


def test_a_recording_that_matches_cloudflare_needs_no_item(world: World) -> None:
    captured(world, timedelta(hours=1), timedelta(hours=2))
    assert world.sync() == 2
    for recording in list(world.executions.started.values()):
        assert world.process(recording) == "ready"
    running = world.start()
    assert scanned_items(world) == []
    assert world.sync() == 0
    world.clock.advance(minutes=1)
    assert world.stop().id == running.id
    assert scanned_items(world) == []


@pytest.mark.parametrize("names", [True, False], ids=["named", "hinted at"])
def test_recordings_of_an_unowned_meeting_are_counted_and_only_later_ones_imported(world: World, names: bool) -> None:
    world.cloudflare.names_meetings = names
    captured(world, timedelta(hours=1), timedelta(hours=2), meeting_id="meeting_2")
    scan = world.scan()
    assert (scan.unregistered, scan.batches) == (2, [])
    assert world.sync() == 0
    world.put_room(room_id="room_2", meeting_id="meeting_2")
    assert world.sync() == 0
    world.clock.advance(minutes=1)
    captured(world, timedelta(0), meeting_id="meeting_2")
    assert world.sync() == 1
    assert world.sync() == 0
    assert {one.cloudflare_recording_id: one.room_id for one in world.all()} == {"past_3": "room_2"}
    assert world.memory.retry_queue == {}
    assert world.scan().unregistered == 2
    world.assert_sound()


def test_adopting_a_released_meeting_again_imports_recordings_older_than_the_watermark(world: World) -> None:
    world.put_room(room_id="room_2", meeting_id="meeting_2")
    world.delete_room(room_id="room_2")
    world.sync()
    world.clock.advance(seconds=10)
    late = world.cloudflare.begin_by_itself("meeting_2")
    world.cloudflare.upload(late.cloudflare_recording_id)
    world.clock.advance(hours=3)
    captured(world, timedelta(0))
    # The listing omits it until the watermark has passed it.
    hidden = world.cloudflare.captured.pop(late.cloudflare_recording_id)
    world.sync()
    world.cloudflare.captured[late.cloudflare_recording_id] = hidden
    world.clock.advance(hours=3)
    world.put_room(room_id="room_3", meeting_id="meeting_2")
    assert world.sync() == 1
    assert world.of(hidden).room_id == "room_3"
    assert world.memory.retry_queue == {}


def test_a_recording_without_a_meeting_is_counted(world: World) -> None:
    captured(world, timedelta(0))
    world.cloudflare.captured["past_1"] = a_capture(cloudflare_recording_id="past_1", meeting_id=None)
    assert world.scan().unregistered == 1


def test_a_meeting_from_a_file_name_must_list_the_recording(world: World) -> None:
    captured(world, timedelta(0), meeting_id="meeting_2")
    (forged,) = world.cloudflare.captured
    hinted = SyncItem(
        cloudflare_recording_id=forged,
        meeting_id="meeting_1",
        meeting_confirmed=False,
        tenant_id=None,
        recording_id=None,
        queued=False,
    )
    assert world.reconcile_batch([hinted]) == 0
    assert world.all() == []
    captured(world, timedelta(0))
    assert world.reconcile_batch([replace(hinted, cloudflare_recording_id="past_2")]) == 1
    (recording,) = world.all()
    assert (recording.cloudflare_recording_id, recording.room_id) == ("past_2", "room_1")


def test_a_purged_recording_does_not_come_back(world: World) -> None:
    captured(world, timedelta(0))
    assert world.sync() == 1
    (recording,) = world.all()
    world.process(recording)
    world.delete(recording)
    world.memory.purge(recording)
    assert scanned_items(world) == []
    assert world.sync() == 0
    assert world.all() == []
    late = SyncItem(
        cloudflare_recording_id="past_1",
        meeting_id="meeting_1",
        meeting_confirmed=True,
        tenant_id=None,
        recording_id=None,
        queued=False,
    )
    assert world.reconcile_batch([late]) == 0
    assert world.all() == []


def test_a_deleted_recording_is_synced_and_stays_deleted(world: World) -> None:
    recording = world.start()
    world.stop()
    world.delete(recording)
    world.cloudflare.lose("capture_1")
    assert world.sync() == 1
    gone = world.recordings.get_including_deleted("tenant_1", recording.id)
    assert (gone.status, gone.deleted_at) == (Status.FAILED, world.clock())
    world.assert_sound()


# ---------------------------------------------------------------- what it changes


def test_the_sync_finds_an_end_whose_webhook_was_lost(world: World) -> None:
    recording = world.start()
    world.clock.advance(minutes=1)
    world.cloudflare.end("capture_1")
    assert world.sync() == 1
    assert world.room().active_recording_id is None
    assert list(world.executions.started) == [(recording.id, 1)]


def test_a_recording_that_never_begins_is_stopped_and_unlocks_its_room(world: World) -> None:
    world.start()
    world.clock.advance(minutes=15)
    assert world.sync() == 0
    assert len(world.cloudflare.running()) == 1
    world.clock.advance(seconds=1)
    world.sync()
    assert world.cloudflare.running() == []
    assert world.sync() == 1
    assert world.room().active_recording_id is None


def test_a_dead_execution_is_followed_by_a_new_attempt(world: World) -> None:
    recording = world.start()
    world.stop()
    world.cloudflare.upload("capture_1")
    world.executions.end(recording)
    world.clock.advance(minutes=10)
    assert world.sync() == 0
    world.clock.advance(seconds=1)
    assert world.sync() == 1
    (after,) = world.all()
    assert (after.attempt, after.status) == (2, Status.PROCESSING)
    assert world.process(after) == "ready"
    assert world.sync() == 0


def test_an_execution_that_gave_up_is_followed_by_a_new_attempt_once_there_is_a_file(world: World) -> None:
    recording = world.start()
    world.stop()
    world.clock.advance(hours=7)
    assert world.process(recording) == "stalled"
    assert world.sync() == 0
    world.cloudflare.upload("capture_1")
    assert world.sync() == 1
    (after,) = world.all()
    assert (after.attempt, after.stalled) == (2, False)


def test_a_running_execution_is_not_replaced(world: World) -> None:
    world.start()
    world.stop()
    world.cloudflare.upload("capture_1")
    world.clock.advance(hours=1)
    assert world.sync() == 0
    assert [one.attempt for one in world.all()] == [1]
    assert world.executions.ended == []


def test_a_move_whose_execution_died_is_restarted(world: World) -> None:
    recording = a_ready_one(world)
    moving = world.archive(recording)
    world.clock.advance(minutes=11)
    assert world.sync() == 0
    world.moves.end(moving)
    assert world.sync() == 1
    assert world.moves.restarted == [(moving.id, 1)]
    assert world.move(moving) == "done"
    assert world.sync() == 0
    assert scanned_items(world) == []


def a_ready_one(world: World) -> Recording:
    recording = world.start()
    world.clock.advance(minutes=1)
    world.stop()
    world.cloudflare.upload(recording.cloudflare_recording_id or "")
    assert world.process(recording) == "ready"
    return world.recordings.get("tenant_1", recording.id)


def test_a_recording_that_is_not_listed_is_requested_by_its_id(world: World) -> None:
    world.start()
    world.cloudflare.forget("capture_1")
    captured(world, timedelta(0))
    assert ids(scanned_items(world)) == ["past_1", "capture_1"]
    assert world.sync() == 1
    world.clock.advance(minutes=10)
    assert world.sync() == 1
    assert world.of(a_capture()).status is Status.FAILED
    assert world.room().active_recording_id is None


def test_an_expired_file_and_an_upload_that_never_ends_fail_with_their_cause(world: World) -> None:
    for end in (world.cloudflare.upload, world.cloudflare.end):
        recording = world.start()
        world.stop()
        end(recording.cloudflare_recording_id or "")
        world.clock.advance(minutes=1)
    world.clock.advance(days=7, seconds=1)
    assert world.sync() == 0
    world.clock.advance(minutes=10)
    assert world.sync() == 2
    assert [one.failure and one.failure.code for one in world.all()] == ["file_expired", "upload_never_finished"]


def test_a_recording_without_a_cloudflare_id_does_not_stop_the_sync(world: World) -> None:
    lost = a_recording(status=Status.PROCESSING, cloudflare_recording_id=None)
    world.recordings.add(lost, lease_nonce=None)
    assert ids(scanned_items(world)) == [None]
    assert world.sync() == 0
    world.clock.advance(minutes=10)
    assert world.sync() == 1
    assert world.recordings.get("tenant_1", lost.id).status is Status.FAILED


# ---------------------------------------------------------------- lease and watermark


def test_one_sync_runs_at_a_time_and_a_dead_one_blocks_until_its_lease_expires(world: World) -> None:
    captured(world, timedelta(0))
    opened = world.lease.acquire(nonce="other", now=world.clock(), until=world.clock() + LEASE_DURATION)
    assert opened == SyncWindow(None, True)
    world.trap = Trap(999)
    assert world.sync() is None
    assert world.trap.calls == ["lease.acquire"]
    world.clock.advance(seconds=LEASE_DURATION.total_seconds())
    assert world.sync() == 1
    world.lease.release(nonce="other", watermark=NOON + timedelta(days=99), full_at=None)
    assert world.lease.watermark == NOON
    assert world.lease.until is None


def test_each_scan_and_each_batch_renews_the_lease_of_its_sync(world: World) -> None:
    world.lease.acquire(nonce="first", now=world.clock(), until=world.clock() + LEASE_DURATION)
    steps: list[Callable[[], object]] = [
        lambda: world.scan(nonce="first"),
        lambda: world.reconcile_batch([], nonce="first"),
    ]
    for step in steps:
        world.clock.advance(minutes=1)
        step()
        assert world.lease.until == world.clock() + LEASE_DURATION
    held_until = world.lease.until
    world.clock.advance(minutes=1)
    world.scan(nonce="another")
    assert world.lease.until == held_until


def failing(
    world: World, failure: type[RecordingsError], *cloudflare_recording_ids: str
) -> Callable[[str], ProviderRecording]:
    """Make Cloudflare fail requests for these recordings, or for every one. Return the method it replaces."""
    get = world.cloudflare.get

    def fails(cloudflare_recording_id: str) -> ProviderRecording:
        if not cloudflare_recording_ids or cloudflare_recording_id in cloudflare_recording_ids:
            raise failure
        return get(cloudflare_recording_id)

    world.cloudflare.get = fails  # type: ignore[method-assign]
    return get


def test_a_throttled_sync_keeps_the_watermark_and_releases_the_lease(world: World) -> None:
    captured(world, timedelta(hours=3))
    assert world.sync() == 1
    mark = world.lease.watermark
    assert mark == NOON - timedelta(hours=3)
    captured(world, timedelta(hours=1), timedelta(hours=2))
    get = failing(world, ProviderThrottled)
    assert world.sync() is None
    assert (world.lease.watermark, world.lease.until) == (mark, None)
    world.cloudflare.get = get  # type: ignore[method-assign, assignment]
    assert world.sync() == 2
    assert world.lease.watermark == NOON - timedelta(hours=1)


@pytest.mark.parametrize("failure", [ProviderTimeout, ProviderError, ProviderRefused, InfrastructureError])
def test_a_failing_item_stops_no_other_and_is_retried_until_it_succeeds(
    world: World, failure: type[RecordingsError]
) -> None:
    captured(world, *(timedelta(minutes=minutes) for minutes in range(5)))
    get = failing(world, failure, "past_2", "past_4")
    assert world.sync() == 3
    assert world.batch_result.queued == 2
    assert world.lease.watermark == NOON
    # Long after the listings no longer contain it.
    world.clock.advance(hours=5)
    captured(world, timedelta(0))
    assert world.sync() == 1
    world.cloudflare.get = get  # type: ignore[method-assign, assignment]
    assert world.sync() == 2
    assert world.memory.retry_queue == {}
    assert {one.cloudflare_recording_id for one in world.all()} == set(world.cloudflare.captured)
    world.assert_sound()


def test_an_item_that_was_removed_since_the_scan_stops_no_other(world: World) -> None:
    captured(world, timedelta(0), timedelta(minutes=1))
    gone = SyncItem(
        cloudflare_recording_id="c",
        meeting_id="meeting_1",
        meeting_confirmed=True,
        tenant_id="tenant_1",
        recording_id="rec_gone",
        queued=True,
    )
    world.retry_queue.add(gone)
    assert world.sync() == 2
    assert world.memory.retry_queue == {}
    remove = world.memory.rooms.pop

    def removed(recording: Recording, *, lease_nonce: str | None) -> Recording:
        remove((recording.tenant_id, recording.room_id), None)
        raise RoomNotFound

    captured(world, timedelta(0))
    world.recordings.add = removed  # type: ignore[method-assign]
    assert world.sync() == 0


@pytest.mark.no_cover
@pytest.mark.parametrize("tenant", ["acme", "t" * 256, "\N{VIDEO CAMERA}" * 46])
def test_a_scan_returns_no_more_than_the_state_of_an_execution_holds(world: World, tenant: str) -> None:
    for number in range(800):
        cloudflare_recording_id = f"{number:08}-0000-0000-0000-000000000000"
        at = NOON - timedelta(hours=2, seconds=number)
        world.recordings.add(
            a_recording(
                id=world.new_id(at),
                tenant_id=tenant,
                cloudflare_recording_id=cloudflare_recording_id,
                meeting_id="0" * 36,
                status=Status.PROCESSING,
                stalled=True,
                created_at=at,
            ),
            lease_nonce=None,
        )
        if number < 400:
            # Of these the list tells that their file is there.
            world.cloudflare.captured[cloudflare_recording_id] = a_capture(
                cloudflare_recording_id=cloudflare_recording_id,
                status=ProviderStatus.UPLOADED,
                invoked_at=at,
                download_url="https://files/1",
                url_expires_at=world.clock() + timedelta(days=7),
            )
    scan, listed, seen = world.scan(), set[str | None](), set[str | None]()
    page = scan.next_page
    while True:
        assert len(json.dumps([[asdict(item) for item in batch] for batch in scan.batches])) < 250 * 1024
        listed |= {item.cloudflare_recording_id for batch in scan.batches for item in batch}
        if scan.next_page is None:
            break
        scan = world.scan(page=scan.next_page)
    # The next scan resumes the list, and each of our own items is processed in time.
    assert (page is None) == (tenant == "acme")
    assert {f"{number:08}-0000-0000-0000-000000000000" for number in range(400)} <= listed
    # The sample is random: some sixty scans are usually enough, and four hundred nearly always.
    for _ in range(400):
        seen |= {item.recording_id for batch in world.scan().batches for item in batch}
        if len(seen - {None}) == 800:
            break
    assert len(seen - {None}) == 800


def test_a_start_time_in_the_future_hides_no_recording(world: World) -> None:
    captured(world, timedelta(days=-400))
    assert world.scan().newest == world.clock()


def test_a_recording_of_a_locked_room_is_imported_when_the_room_is_unlocked(world: World) -> None:
    world.start()
    world.cloudflare.go("capture_1")
    world.cloudflare.captured["second"] = a_capture(
        cloudflare_recording_id="second",
        status=ProviderStatus.RECORDING,
        invoked_at=NOON,
        started_at=NOON,
        auto_started=True,
    )
    assert world.sync() == 0
    world.clock.advance(hours=5)
    assert world.sync() == 0
    world.stop()
    assert world.sync() == 1
    assert world.memory.retry_queue == {}
    assert {one.cloudflare_recording_id for one in world.all()} == {"capture_1", "second"}
    world.assert_sound()


def test_a_recording_from_before_a_rooms_deletion_belongs_to_that_room(world: World) -> None:
    world.put_room(room_id="room_2", name="Two", meeting_id="meeting_2")
    world.clock.advance(minutes=1)
    running = world.cloudflare.begin_by_itself("meeting_2")
    room = world.rooms.get("tenant_1", "room_2")
    world.rooms.remove(room)
    world.clock.advance(minutes=1)
    # No room can hold it while it runs.
    assert world.sync() == 0
    assert world.batch_result.queued == 0 or world.memory.retry_queue
    world.cloudflare.upload(running.cloudflare_recording_id)
    assert world.sync() == 1
    recording = world.of(running)
    assert (recording.tenant_id, recording.room_id, recording.room_name) == ("tenant_1", "room_2", "Two")
    assert world.sync() == 0
    assert world.memory.retry_queue == {}


def test_an_item_of_an_unowned_meeting_calls_nothing(world: World) -> None:
    world.trap = Trap(9999, only="provider")
    assert world.reconcile_batch([SyncItem.of_meeting("meeting_of_nobody")]) == 0
    assert world.trap.calls == []


@pytest.mark.parametrize("stored", [False, True])
def test_an_item_of_a_meeting_sets_record_on_start_as_the_room_has_it(world: World, stored: bool) -> None:
    room = world.room()
    world.rooms.save(room, replace(room, record_on_start=stored, version=2))
    world.cloudflare.recording_on_start["meeting_1"] = not stored
    world.reconcile_batch([SyncItem.of_meeting("meeting_1")])
    assert world.cloudflare.recording_on_start["meeting_1"] is stored


def test_an_item_of_a_released_meeting_switches_record_on_start_off(world: World) -> None:
    world.cloudflare.recording_on_start["meeting_1"] = True
    world.rooms.remove(world.room())
    world.sync()
    assert world.cloudflare.recording_on_start["meeting_1"] is False


def test_a_room_with_a_new_meeting_queues_no_item(world: World) -> None:
    world.put_room(room_id="room_2")
    assert world.memory.retry_queue == {}
    world.put_room(room_id="room_3", meeting_id="meeting_3")
    assert [item.meeting_id for item in world.memory.retry_queue.values()] == ["meeting_3"]


@pytest.mark.parametrize(("left", "reported"), [(timedelta(hours=48), 0), (timedelta(hours=48, seconds=-1), 1)])
def test_a_file_that_expires_soon_and_is_not_stored_is_counted_by_every_sync(
    world: World, left: timedelta, reported: int
) -> None:
    world.start()
    world.stop()
    world.cloudflare.upload("capture_1")
    for days in (timedelta(days=7) - left, timedelta(0)):
        world.clock.advance(seconds=days.total_seconds())
        world.sync()
        assert world.batch_result.expiring == reported


def test_a_full_sync_runs_once_a_day(world: World) -> None:
    def full() -> bool:
        opened = world.lease.acquire(nonce="x", now=world.clock(), until=world.clock())
        assert opened is not None
        return opened.full

    assert full()
    world.sync()
    assert not full()
    world.clock.advance(seconds=FULL_SYNC_INTERVAL.total_seconds() - 1)
    assert not full()
    world.clock.advance(seconds=1)
    assert full()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_next_sync_completes_one_that_died_at_any_call(after: bool) -> None:
    n, sprung = 0, True
    while sprung:
        world = World()
        captured(world, timedelta(hours=1), timedelta(hours=2))
        begin_and_end(world)
        world.trap = trap = Trap(n, Killed(), after=after)
        attempt_killed(world)
        world.let_go()
        for _ in range(3):
            world.sync()
            # What has just ended is given time: its execution may be about to start.
            world.clock.advance(minutes=11)
        assert len(world.all()) == 3
        assert {key[0] for key in world.executions.started} == {one.id for one in world.all()}
        assert world.lease.until is None or world.lease.until <= world.clock() + LEASE_DURATION
        world.assert_sound()
        sprung = trap.sprung
        n += 1
    assert n > 12


def begin_and_end(world: World) -> None:
    world.start()
    world.clock.advance(minutes=1)
    world.cloudflare.end("capture_1")


def attempt_killed(world: World) -> None:
    """Run a sync that is not repeated after its death."""
    scan = None
    try:
        opened = world.ports("lease")["lease"].acquire(nonce="dead", now=world.clock(), until=world.clock())
        scan = world.scan(opened)
        for batch in scan.batches:
            attempt(partial(world.reconcile_batch, batch))
    except Killed:
        pass


# ---------------------------------------------------------------- its cost


@pytest.mark.no_cover
def test_a_sync_of_ten_thousand_recordings_with_fifty_new_ones_needs_few_calls(world: World) -> None:
    old = [NOON - timedelta(minutes=n) for n in range(51, 10_051)]
    for n, at in enumerate(old):
        add_ready(world, f"old_{n}", at)
    written = dict(world.memory.recordings)
    captured(world, *(timedelta(minutes=n) for n in range(1, 51)))
    world.trap = Trap(10**6)
    assert world.sync() == 50
    calls = Counter(world.trap.calls)
    pages = -(-10_050 // world.cloudflare.page_size)
    asked = {name: number for name, number in calls.items() if name.startswith("provider")}
    assert sum(asked.values()) <= pages + 50, asked
    assert (calls["recordings.add"], calls["recordings.save"]) == (50, 0)
    assert {key: one for key, one in world.memory.recordings.items() if key in written} == written
    world.trap = Trap(-1)
    for recording in list(world.executions.started.values()):
        assert world.process(recording) == "ready"
    world.trap = Trap(10**6)
    assert world.sync() == 0
    again = Counter(world.trap.calls)
    assert again["provider.list_page"] == 1
    assert again.keys() <= {
        "lease.acquire", "lease.renew", "lease.release", "provider.list_page", "retry_queue.list_all",
        "recordings.find_by_cloudflare_recording_ids", "recordings.list_unfinished",
    }  # fmt: skip


def add_ready(world: World, name: str, at: datetime) -> None:
    world.cloudflare.captured[name] = a_capture(
        cloudflare_recording_id=name,
        status=ProviderStatus.UPLOADED,
        invoked_at=at,
        download_url="https://files/1",
        url_expires_at=at + timedelta(days=7),
    )
    world.recordings.add(
        a_recording(id=world.new_id(at), status=Status.READY, cloudflare_recording_id=name, created_at=at),
        lease_nonce=None,
    )


def test_a_recording_that_never_begins_and_never_stops_unlocks_its_room(world: World) -> None:
    world.start()
    asked = world.cloudflare.get("capture_1")
    world.stop()
    # The stop of a recording that has not begun had no effect, and no sync ran for a quarter of an hour.
    world.cloudflare.captured["capture_1"] = asked
    world.clock.advance(minutes=15, seconds=1)
    assert world.sync() == 0
    # The second stop has an effect, and there is no file.
    assert world.cloudflare.running() == []
    world.cloudflare.lose("capture_1")
    assert world.sync() == 1
    (recording,) = world.all()
    assert recording.status is Status.FAILED
    assert world.start().status is Status.RECORDING


def test_a_scan_counts_unfinished_recordings_by_status(world: World) -> None:
    states: list[tuple[str, Status, bool]] = [
        ("a", Status.RECORDING, False),
        ("b", Status.PROCESSING, False),
        ("c", Status.PROCESSING, True),
        ("d", Status.READY, False),
    ]
    for name, status, stalled in states:
        recording = a_recording(
            status=status, id=f"rec_{name}", cloudflare_recording_id=name, room_id=name, stalled=stalled
        )
        world.rooms.add(a_room(id=name, meeting_id=f"meeting_{name}"))
        world.recordings.add(recording, lease_nonce=None)
    assert world.scan(None).unfinished == Counter({"recording": 1, "processing": 1, "stalled": 1})
