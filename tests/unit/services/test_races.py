"""Every pair of concurrent commands on one recording: responses, history and outside effects are consistent.

Two commands run in two threads that take turns at every call to a port, in an order that a seed decides. What comes out
must be what one of the two orders gives, one command after the other: so who is refused has done nothing.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import pytest

from recordings.domain.errors import ConcurrentUpdate, Throttled
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from tests.support.builders import a_recording
from tests.unit.services.world import Trap, World, attempt

# Thousands of repetitions of code that other tests cover: measuring them would only take time.
pytestmark = pytest.mark.no_cover

# How often each pair is raced, in all states together that one of the two can act on.
RACES = 200
READY = a_recording(status=Status.READY, cloudflare_recording_id="capture_0")

type Command = Callable[[World, Recording], object]
COMMANDS: dict[str, Command] = {
    "start": lambda world, _: world.start(),
    "stop": lambda world, _: world.stop(),
    "recover": World.recover,
    "archive": World.archive,
    "restore": lambda world, one: world.restore(one, tier="bulk"),
    "delete": World.delete,
    "undelete": World.undelete,
}


def idle(world: World) -> Recording:
    """Return a world without a recording. The commands name one that does not exist."""
    return READY


def recording(world: World) -> Recording:
    return world.start()


def processing(world: World) -> Recording:
    world.start()
    world.clock.advance(minutes=5)
    return world.stop()


def ready(world: World) -> Recording:
    world.recordings.add(READY, lease_nonce=None)
    world.r2.put("key", b"film", content_type="video/mp4")
    return READY


def archived(world: World) -> Recording:
    moving = world.archive(ready(world))
    world.move(moving)
    return world.recordings.get_including_deleted(moving.tenant_id, moving.id)


def deleted(world: World) -> Recording:
    return world.delete(ready(world))


# The states in which each command can act.
ACTS_ON: dict[str, tuple[Callable[[World], Recording], ...]] = {
    "start": (idle,),
    "stop": (recording,),
    "recover": (processing,),
    "archive": (ready,),
    "restore": (archived,),
    "delete": (ready, archived, processing),
    "undelete": (deleted,),
}


@dataclass(frozen=True)
class Outcome:
    """Return what is visible afterwards without versions: the responses, the records and the outside effects."""

    responses: tuple[str, ...]
    records: tuple[object, ...]
    outside: tuple[object, ...]


def outcome(world: World, responses: list[object]) -> Outcome:
    records = sorted(
        (
            one.status,
            one.deleted_at is None,
            one.attempt,
            one.archive_attempt,
            one.archive.state if one.archive else None,
            one.archive.pending_since if one.archive else None,
            tuple(change.cause for change in one.history),
        )
        for one in everything(world)
    )
    outside = (
        tuple(sorted(number for _, number in world.executions.started)),
        tuple(sorted(number for _, number in world.moves.started)),
        # The same copy asked for again is refused while it is on its way (S3 API reference, RestoreObject).
        tuple(dict.fromkeys(world.s3.restore_requests)),
        len(world.cloudflare.running()),
        len(world.cloudflare.captured),
        tuple(sorted(world.r2.objects)),
        tuple(sorted(world.s3.objects)),
    )
    reported = tuple("done" if isinstance(one, Recording) else type(one).__name__ for one in responses)
    return Outcome(reported, tuple(records), outside)


def everything(world: World) -> list[Recording]:
    return [*world.recordings.list_all("tenant_1")]


class Turns:
    """Two threads, of which one runs at a time until its next call to a port."""

    def __init__(self, world: World, order: random.Random) -> None:
        self.order, self.back = order, threading.Semaphore(0)
        self.gates = [threading.Semaphore(0), threading.Semaphore(0)]
        self.mine = threading.local()
        trap = world.trap = Trap(-1)

        def call(name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
            self.pass_on()
            return method(*given, **named)

        trap.call = call  # type: ignore[method-assign]

    def pass_on(self) -> None:
        self.back.release()
        self.gates[self.mine.number].acquire()

    def race(self, pool: ThreadPoolExecutor, commands: list[Callable[[], object]]) -> list[object]:
        over = [False, False]

        def run(number: int) -> object:
            self.mine.number = number
            self.gates[number].acquire()
            try:
                return attempt(commands[number])
            finally:
                over[number] = True
                self.back.release()

        futures = [pool.submit(run, number) for number in (0, 1)]
        while not all(over):
            self.gates[self.order.choice([number for number in (0, 1) if not over[number]])].release()
            self.back.acquire()
        return [future.result() for future in futures]


def in_order(make: Callable[[], World], state: Callable[[World], Recording], *commands: Command) -> Outcome:
    world = make()
    one = state(world)
    return outcome(world, [attempt(partial(command, world, one)) for command in commands])


def check(
    pool: ThreadPoolExecutor,
    names: tuple[str, str],
    races: int,
    make: Callable[[], World] = World,
    settle: Callable[[World], None] | None = None,
) -> None:
    first, second = (COMMANDS[name] for name in names)
    states = [*dict.fromkeys((*ACTS_ON[names[0]], *ACTS_ON[names[1]]))]
    for number in range(races):
        state = states[number % len(states)]
        if number < len(states):
            both = in_order(make, state, first, second)
            turned = in_order(make, state, second, first)
            fitting = {both, Outcome(turned.responses[::-1], turned.records, turned.outside)}
            alone = [in_order(make, state, first), in_order(make, state, second)]
            expected = KNOWN.setdefault((names, state.__name__, make), (fitting, alone))
        else:
            expected = KNOWN[names, state.__name__, make]
        world = make()
        one = state(world)
        turns = Turns(world, random.Random(f"{names} {number}"))
        responses = turns.race(pool, [partial(first, world, one), partial(second, world, one)])
        world.trap = Trap(-1)
        seen = outcome(world, responses)
        assert is_right(seen, responses, names, *expected), (names, state.__name__, number, seen, expected)
        if settle is not None:
            settle(world)


KNOWN: dict[Any, tuple[set[Outcome], list[Outcome]]] = {}


def is_right(
    seen: Outcome, responses: list[object], names: tuple[str, str], fitting: set[Outcome], alone: list[Outcome]
) -> bool:
    if seen in fitting:
        return True
    what = {(one.records, one.outside) for one in fitting}
    if names[0] == names[1] and seen.responses == ("done", "done"):
        # Both commands were the same, and it was done once.
        return (seen.records, seen.outside) in what
    # One command must be retried, and only the other one has happened.
    return any(
        isinstance(responses[number], ConcurrentUpdate | Throttled)
        and seen.responses[1 - number] == alone[1 - number].responses[0]
        and (seen.records, seen.outside) == (alone[1 - number].records, alone[1 - number].outside)
        for number in (0, 1)
    )


def settled(world: World) -> None:
    """Check that later nothing happens of a refused command, and everything of a granted one."""
    world.assert_sound()
    before = {one.id: one for one in everything(world)}
    world.clock.advance(minutes=11)
    world.sync()
    for moving in [*world.moves.started.values()]:
        world.move(moving)
    for one in everything(world):
        assert one.status is before[one.id].status or before[one.id].status is Status.RECORDING
        moved = one.file is not None and one.file.store == "s3"
        assert moved == (one.status is Status.ARCHIVED)
        assert not one.archive_unfinished
    restoring = [one for one in everything(world) if one.archive is not None and one.archive.state == "restoring"]
    assert bool(world.s3.restore_requests) == bool(restoring)
    world.assert_sound()


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("names", [*combinations_with_replacement(COMMANDS, 2)], ids="-".join)
def test_concurrent_commands_act_one_after_the_other(pool: ThreadPoolExecutor, names: tuple[str, str]) -> None:
    check(pool, names, RACES, settle=settled)


def test_a_race_that_is_lost_is_noticed(pool: ThreadPoolExecutor) -> None:
    """A faulty ArchiveRecording that starts its execution before it stores the move."""

    def early(world: World, one: Recording) -> object:
        before = world.ports("recordings")["recordings"].get(one.tenant_id, one.id)
        after = before.archiving(at=world.clock())
        world.ports("archiving")["archiving"].start(after)
        world.ports("recordings")["recordings"].save(before, after)
        return after

    COMMANDS["early"], ACTS_ON["early"] = early, (ready,)
    try:
        with pytest.raises(AssertionError):
            check(pool, ("early", "delete"), RACES)
    finally:
        del COMMANDS["early"], ACTS_ON["early"]
