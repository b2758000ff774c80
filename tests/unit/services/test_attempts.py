"""Attempts at a file: what is accepted when, how often it is tried, and what is left in the bucket afterwards."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain, pairwise, repeat

import pytest

from recordings.domain.admission import FILE_INVALID, AttemptLimits
from recordings.domain.lifecycle import Status
from recordings.domain.objects import ObjectHead
from recordings.domain.provider_recording import ProviderStatus
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import quarantine_prefix
from recordings.domain.transfer import MULTIPART_THRESHOLD_BYTES, Attempt, SourceFile
from recordings.services.transfer.mark import MarkReady
from tests.support.builders import a_verified_file
from tests.support.fakes import MemoryObjectStore, MemoryReader
from tests.unit.services.world import CONTENT, Killed, Trap, World

PAGES = [b"<!doctype html><html>please</html>", b'{"success": false}', b"<?xml version='1.0'?><Error/>", b""]
FEW = AttemptLimits(max_attempts=4)


class NeverSame(MemoryReader):
    """A source that gives other bytes at every read."""

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        super().read(location, file, first, buffer)
        buffer[:8] = sum(self.reads.values()).to_bytes(8)


class Damaging(MemoryObjectStore):
    """A store that gives back other bytes than it was given."""

    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        content = super().read(key, first, last, etag=etag)
        return content[:-1] + bytes([content[-1] ^ 1])


def stopped(
    *contents: bytes,
    announced: int | None = None,
    delivered: bytes | None = None,
    files: MemoryObjectStore | None = None,
) -> World:
    """A recording that was stopped and uploaded. Its file is what `contents` say, the last one from then on."""
    world = World(delivers=delivered is not None)
    if files is not None:
        world.r2 = files
    if delivered is not None:
        world.cloudflare.content = delivered
    reported: Iterator[bytes] = chain(contents[:-1], repeat(contents[-1] if contents else CONTENT))
    world.make_reader = lambda: MemoryReader(next(reported))
    world.start()
    world.clock.advance(minutes=1)
    world.stop()
    world.cloudflare.upload("capture_1")
    world.cloudflare._change("capture_1", size_bytes=announced)
    return world


def only(world: World) -> Recording:
    (recording,) = world.all()
    return recording


def work(world: World) -> None:
    """The executions that are due do what they can."""
    for recording in list(world.executions.started.values()):
        world.process(recording)


def pass_time(world: World, *, hours: float) -> None:
    """The scheduled sync every five minutes, and the executions that it starts."""
    until = world.clock() + timedelta(hours=hours)
    work(world)
    while world.clock() < until:
        world.clock.advance(minutes=5)
        world.sync()
        work(world)


def quarantined(world: World) -> list[str]:
    return [key for key in world.r2.objects if key.startswith(quarantine_prefix(only(world)))]


# ---------------------------------------------------------------- what is accepted


@pytest.mark.parametrize("page", PAGES)
def test_what_is_no_media_is_never_ready_and_fails_at_the_end(page: bytes) -> None:
    world = stopped(page, announced=None)
    world.limits = FEW
    work(world)
    now = only(world)
    assert (now.status, now.stalled, now.next_attempt_at) == (
        Status.PROCESSING,
        True,
        world.clock() + timedelta(minutes=5),
    )
    assert world.r2.objects == {}
    pass_time(world, hours=2)
    end = only(world)
    assert (end.status, end.failure, end.attempt) == (Status.FAILED, FILE_INVALID, 4)
    assert list(world.r2.objects) == quarantined(world) == [f"{quarantine_prefix(end)}4/recording"]
    assert world.r2.objects[quarantined(world)[0]][0] == page
    world.assert_sound()


def test_an_error_page_that_passes_holds_up_a_recording_and_no_more() -> None:
    world = stopped(PAGES[0], PAGES[1], CONTENT, announced=len(CONTENT))
    pass_time(world, hours=1)
    now = only(world)
    assert (now.status, now.partial, now.attempt) == (Status.READY, False, 3)
    assert [file[0] for file in world.r2.objects.values()] == [CONTENT]


@pytest.mark.parametrize("half", [b"x", CONTENT[: len(CONTENT) // 2], CONTENT[:-1]])
def test_what_stays_shorter_than_announced_is_ready_in_part_at_the_end(half: bytes) -> None:
    world = stopped(half, announced=len(CONTENT))
    work(world)
    now = only(world)
    assert (now.status, now.held is not None) == (Status.PROCESSING, True)
    # The best that there is stays until something better comes.
    assert [file[0] for file in world.r2.objects.values()] == [half]
    pass_time(world, hours=2.5)
    assert only(world).status is Status.PROCESSING
    pass_time(world, hours=1)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes, end.attempt) == (Status.READY, True, len(half), 6)
    assert end.file is not None
    assert list(world.r2.objects) == [end.file.key]
    assert (end.held, end.stalled, end.progress) == (None, False, None)
    world.assert_sound()


def test_a_file_that_is_whole_in_the_second_attempt_is_whole() -> None:
    world = stopped(CONTENT[:90], CONTENT, announced=len(CONTENT))
    work(world)
    assert only(world).status is Status.PROCESSING
    pass_time(world, hours=0.2)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes, end.attempt) == (Status.READY, False, len(CONTENT), 2)
    assert [file[0] for file in world.r2.objects.values()] == [CONTENT]


@pytest.mark.parametrize("announced", [1, len(CONTENT) - 1])
def test_what_is_larger_than_announced_is_looked_at_twice_and_then_whole(announced: int) -> None:
    world = stopped(CONTENT, announced=announced)
    work(world)
    assert only(world).status is Status.PROCESSING
    pass_time(world, hours=0.2)
    assert (only(world).status, only(world).partial, only(world).attempt) == (Status.READY, False, 2)


@pytest.mark.parametrize("announced", [None, 0, -1, len(CONTENT)])
def test_what_is_as_large_as_announced_is_whole_at_once(announced: int | None) -> None:
    world = stopped(CONTENT, announced=announced)
    work(world)
    assert (only(world).status, only(world).partial, only(world).attempt) == (Status.READY, False, 1)


def test_the_best_of_what_came_is_kept_when_nothing_better_does() -> None:
    world = stopped(CONTENT[:50], CONTENT[:90], CONTENT[:70], PAGES[0], announced=len(CONTENT))
    world.limits = FEW
    pass_time(world, hours=3)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes) == (Status.READY, True, 90)
    assert end.history[-1].cause == "file_incomplete"
    assert end.file is not None
    assert world.r2.objects[end.file.key][0] == CONTENT[:90]


@pytest.mark.parametrize("how", ["forgotten", "expired", "errored"])
def test_half_a_file_is_better_than_none_when_cloudflare_loses_the_rest(how: str) -> None:
    world = stopped(CONTENT[:90], announced=len(CONTENT))
    work(world)
    if how == "forgotten":
        world.cloudflare.forget("capture_1")
    elif how == "errored":
        world.cloudflare.lose("capture_1")
    else:
        world.clock.advance(days=7)
    pass_time(world, hours=2)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes) == (Status.READY, True, 90)


def test_what_would_be_gone_by_the_next_attempt_is_decided_about_at_once() -> None:
    world = stopped(CONTENT[:90], announced=len(CONTENT))
    world.cloudflare._change("capture_1", url_expires_at=world.clock() + timedelta(minutes=4))
    work(world)
    assert (only(world).status, only(world).partial) == (Status.READY, True)


# ---------------------------------------------------------------- what was delivered


@pytest.mark.parametrize(
    ("delivered", "announced"),
    [
        *((page, len(CONTENT)) for page in PAGES),
        *((page, None) for page in PAGES),
        (CONTENT[:90], len(CONTENT)),
        (b"<" * len(CONTENT), len(CONTENT)),
    ],
)
def test_a_delivered_file_that_will_not_do_is_fetched(delivered: bytes, announced: int | None) -> None:
    world = stopped(CONTENT, announced=announced, delivered=delivered)
    work(world)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes) == (Status.READY, False, len(CONTENT))
    assert end.file is not None
    assert end.file.key != end.delivery_key


@pytest.mark.parametrize("page", PAGES)
def test_a_delivered_page_is_no_recording_either(page: bytes) -> None:
    world = stopped(page, announced=None, delivered=page)
    world.limits = FEW
    pass_time(world, hours=2)
    end = only(world)
    assert (end.status, end.failure) == (Status.FAILED, FILE_INVALID)
    assert list(world.r2.objects) == quarantined(world)


@pytest.mark.parametrize("page", PAGES)
def test_a_delivered_page_of_which_cloudflare_has_nothing_fails_in_the_end(page: bytes) -> None:
    world = stopped(page, announced=None, delivered=page)
    world.cloudflare.lose("capture_1")
    pass_time(world, hours=24 * 8)
    end = only(world)
    assert end.status is Status.FAILED
    assert list(world.r2.objects) == quarantined(world)


def test_a_delivered_half_of_which_cloudflare_has_nothing_is_a_part() -> None:
    world = stopped(delivered=CONTENT[:90], announced=len(CONTENT))
    world.cloudflare.lose("capture_1")
    pass_time(world, hours=5)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes) == (Status.READY, True, 90)


def test_a_delivered_half_of_an_upload_that_never_ends_is_a_part() -> None:
    world = stopped(delivered=CONTENT[:90], announced=len(CONTENT))
    world.cloudflare._change("capture_1", status=ProviderStatus.UPLOADING, download_url=None)
    pass_time(world, hours=24 * 8)
    end = only(world)
    assert (end.status, end.partial, end.size_bytes) == (Status.READY, True, 90)
    assert end.file is not None
    assert end.file.key == end.delivery_key


# ---------------------------------------------------------------- pauses, and an end


@pytest.mark.parametrize("most", [1, 3, 5, 12])
def test_eighteen_hours_of_a_source_that_never_verifies(most: int) -> None:
    world = stopped(announced=len(CONTENT))
    world.limits = AttemptLimits(max_attempts=most)
    world.make_reader = lambda: NeverSame(CONTENT)
    pass_time(world, hours=18)
    now = only(world)
    assert now.attempt <= most
    assert (now.status, now.stalled) == (Status.PROCESSING, True)
    assert world.r2.objects == {}
    assert world.r2.unfinished == {}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("most", "made"), [(1, 1), (3, 3), (12, 8)])
def test_eighteen_hours_of_files_that_do_not_verify_leave_the_last_one_in_quarantine(
    most: int, made: int, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr("gc.collect", lambda: 0)
        # What is read back of a large file is its media facts: a file that has another size than it was given.
        monkeypatch.setattr(
            MemoryObjectStore, "head", lambda self, key: ObjectHead(1, "x") if key in self.objects else None
        )
    world = stopped(announced=len(CONTENT), files=Damaging())
    world.limits = AttemptLimits(max_attempts=most)
    world.multipart_threshold_bytes = 10 if large else MULTIPART_THRESHOLD_BYTES
    pass_time(world, hours=18)
    now = only(world)
    assert (now.status, now.stalled, now.attempt) == (Status.PROCESSING, True, made)
    assert list(world.r2.objects) == quarantined(world)
    assert len(quarantined(world)) == (made == most)
    assert world.r2.unfinished == {}


def test_the_pauses_between_attempts_grow() -> None:
    world = stopped(PAGES[0])
    seen: dict[int, timedelta] = {}
    began = world.clock()
    for _ in range(18 * 60):
        world.clock.advance(minutes=1)
        world.sync()
        work(world)
        seen.setdefault(only(world).attempt, world.clock() - began)
    pauses = [(later - earlier) // timedelta(minutes=1) for earlier, later in pairwise(seen.values())]
    assert pauses == [5, 10, 20, 40, 80, 160, 320]


def test_waiting_for_the_next_attempt_asks_cloudflare_nothing() -> None:
    world = stopped(PAGES[0])
    pass_time(world, hours=4)
    asked = 0
    get = world.cloudflare.get

    def counted(cloudflare_recording_id: str) -> object:
        nonlocal asked
        asked += 1
        return get(cloudflare_recording_id)

    world.cloudflare.get = counted  # type: ignore[method-assign, assignment]
    before = only(world)
    pass_time(world, hours=1)
    assert only(world) == before
    assert asked == 0


def test_a_person_may_recover_what_is_given_up_and_that_is_one_attempt() -> None:
    world = stopped(announced=len(CONTENT))
    world.limits = AttemptLimits(max_attempts=2)
    world.make_reader = lambda: NeverSame(CONTENT)
    pass_time(world, hours=3)
    assert only(world).attempt == 2
    world.recover(only(world))
    pass_time(world, hours=3)
    assert (only(world).attempt, only(world).stalled) == (3, True)
    world.make_reader = lambda: MemoryReader(CONTENT)
    pass_time(world, hours=1)
    assert only(world).status is Status.PROCESSING
    world.recover(only(world))
    work(world)
    assert only(world).status is Status.READY


def test_what_was_in_quarantine_goes_when_the_file_comes_after_all() -> None:
    world = stopped(announced=len(CONTENT), files=Damaging())
    world.limits = AttemptLimits(max_attempts=1)
    work(world)
    assert len(quarantined(world)) == 1
    objects = world.r2.objects
    world.r2 = MemoryObjectStore()
    world.r2.objects = objects
    world.recover(only(world))
    work(world)
    end = only(world)
    assert end.status is Status.READY
    assert end.file is not None
    assert list(world.r2.objects) == [end.file.key]


def test_a_recovery_is_not_held_up_by_a_pause() -> None:
    world = stopped(PAGES[0], CONTENT)
    work(world)
    world.clock.advance(seconds=11)
    world.recover(only(world))
    work(world)
    assert only(world).status is Status.READY


# ---------------------------------------------------------------- tasks that die, and replaced attempts


def calls_of(make: Callable[[], World]) -> int:
    world = make()
    world.trap = Trap(10**6)
    work(world)
    return len(world.trap.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("page", [PAGES[0], CONTENT[:90]], ids=["page", "half"])
@pytest.mark.parametrize("most", [1, 4])
def test_a_task_that_dies_at_any_call_decides_and_leaves_the_same(page: bytes, most: int, after: bool) -> None:
    def make() -> World:
        world = stopped(page, announced=len(CONTENT))
        world.limits = AttemptLimits(max_attempts=most)
        return world

    plain = make()
    work(plain)
    for n in range(calls_of(make)):
        world = make()
        world.trap = Trap(n, Killed(), after=after)
        work(world)
        assert world.trap.sprung
        assert (only(world).status, only(world).partial, only(world).failure) == (
            only(plain).status,
            only(plain).partial,
            only(plain).failure,
        )
        assert world.r2.objects == plain.r2.objects, n
        world.assert_sound()


def test_a_late_repeat_clears_nothing_of_a_file_that_has_moved_on() -> None:
    world = stopped(PAGES[0], CONTENT)
    pass_time(world, hours=0.2)
    ready = only(world)
    assert ready.file is not None
    world.move(world.archive(ready))
    # Somebody still downloads it from there.
    world.r2.put(ready.file.key, CONTENT, content_type="video/mp4")
    mark = MarkReady(**world.ports("recordings", "provider", "store"), limits=world.limits)
    repeated = Attempt(tenant_id="tenant_1", recording_id=ready.id, attempt=ready.attempt)
    assert mark(repeated, a_verified_file(), key=ready.file.key, errored=False) is Status.ARCHIVED
    assert list(world.r2.objects) == [ready.file.key]
