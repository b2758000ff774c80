"""Pages equal the recordings, whatever was changed before, and while it changes.

The planner does no I/O, so thousands of histories take seconds.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from recordings.adapters.dynamodb.id_times import CROCKFORD, MAX_SECONDS, Seconds, lowest_id, seconds_of
from recordings.adapters.dynamodb.page_plan import LAST_TRIP
from recordings.adapters.dynamodb.page_reads import ALL_STATUSES, FoundPage, PageQuery
from recordings.domain.lifecycle import TRANSITIONS, Status
from tests.support.listings import Cost, MemoryListing

BEGIN = 1_767_225_600  # 2026-01-01
QUARTER, DAY = 900, 86_400
SPANS = (60, 3600, DAY, 40 * DAY, 800 * DAY)
MANY_STATUSES = [frozenset(some) for some in (Status, [*Status][:4], [Status.READY, Status.ARCHIVED])]


class History(NamedTuple):
    listing: MemoryListing
    chance: random.Random
    # Seconds from the oldest to the newest recording that there may be.
    span: int

    def recording_id(self) -> str:
        # Many begin at the same time, or at the edge of a quarter hour.
        at = BEGIN + int(self.chance.random() ** self.chance.choice([1, 3]) * self.span)
        at -= at % self.chance.choice([1, 1, 60, QUARTER])
        return lowest_id(at) + "".join(self.chance.choices(CROCKFORD, k=16))

    def time(self) -> int:
        """Return a time at which a filter may cut."""
        at = BEGIN + self.chance.randint(-10, self.span + 10)
        return at - at % self.chance.choice([1, 1, 1, QUARTER, DAY])

    def query(self) -> PageQuery:
        chance = self.chance
        low, high = chance.choice([0, self.time()]), chance.choice([MAX_SECONDS, self.time()])
        query = PageQuery(
            of_room=chance.random() < 0.4,
            statuses=frozenset(chance.sample([*Status], chance.choice([1, 1, 2, 3, 5]))),
            bounds=Seconds(low, high) if low < high else Seconds(0, MAX_SECONDS),
            limit=chance.choice([1, 2, 5, 20, 100]),
        )
        if chance.random() < 0.3:
            known = [*self.listing.statuses, self.recording_id()]
            return replace(query, after=chance.choice(known))
        total = len(selected(self.listing, query))
        offsets = [0, 1, 5, 20, chance.randint(0, total + 2), max(0, total - 1), total, 2**53 - 1]
        return replace(query, offset=chance.choice(offsets))


def histories(number: int) -> Iterator[History]:
    for seed in range(number):
        chance = random.Random(seed)
        history = History(MemoryListing(), chance, chance.choice(SPANS))
        statuses = [*Status][: chance.choice([1, 3, 5])]
        for _ in range(chance.choice([0, 1, 3, 10, 50, 200])):
            history.listing.add(history.recording_id(), chance.choice(statuses))
            step = chance.random()
            if step < 0.2:
                history.listing.remove(chance.choice([*history.listing.statuses]))
            elif step < 0.4:
                history.listing.change(chance.choice([*history.listing.statuses]), chance.choice(statuses))
        yield history


def selected(listing: MemoryListing, query: PageQuery) -> list[str]:
    """Return the ids that a filter selects, newest first, recording by recording."""
    return sorted(
        (
            one
            for one, status in listing.statuses.items()
            if status in query.statuses and query.bounds.low <= seconds_of(one) < query.bounds.high
        ),
        reverse=True,
    )


def page_of(listing: MemoryListing, query: PageQuery) -> FoundPage[Status]:
    """Return the page, recording by recording."""
    ids = selected(listing, query)
    rest = [one for one in ids if query.after is None or one < query.after][query.offset :]
    rows = {one: listing.statuses[one] for one in rest[: query.limit]}
    return FoundPage(rows=rows, total=len(ids), has_more=len(rest) > query.limit)


def test_any_page_after_any_history_equals_the_recordings() -> None:
    trips = set()
    for history in histories(1000):
        for _ in range(6):
            query = history.query()
            history.listing.cost = Cost()
            page = history.listing.page(query)
            assert page == page_of(history.listing, query), query
            assert list(page.rows) == sorted(page.rows, reverse=True)
            trips.add(history.listing.cost.trips)
    assert trips <= set(range(LAST_TRIP + 1))


@pytest.mark.parametrize("by_cursor", [True, False], ids=["by cursor", "by offset"])
def test_a_walk_through_any_filter_meets_every_recording_once(by_cursor: bool) -> None:
    for history in histories(300):
        query = replace(history.query(), offset=0, after=None)
        query = replace(query, limit=max(query.limit, len(history.listing.statuses) // 12 + 1))
        walked: list[str] = []
        while True:
            page = history.listing.page(query)
            walked += page.rows
            assert page.total == len(selected(history.listing, query))
            if not page.has_more:
                break
            query = replace(query, **({"after": walked[-1]} if by_cursor else {"offset": len(walked)}))
        assert walked == selected(history.listing, query)


# ---------------------------------------------------------------- while recordings change


def changing(history: History, query: PageQuery, changed: set[str], often: float) -> Callable[[], None]:
    """Return what changes the status of one recording before some reads, within the filter and once for each."""

    def change() -> None:
        if history.chance.random() >= often:
            return
        moves = [
            (one, after)
            for one, status in history.listing.statuses.items()
            if status in query.statuses and one not in changed
            for after in TRANSITIONS[status].values()
            if after in query.statuses
        ]
        if moves:
            one, after = history.chance.choice(moves)
            changed.add(one)
            history.listing.change(one, after)

    return change


@pytest.mark.parametrize("statuses", MANY_STATUSES, ids=lambda some: ", ".join(sorted(some)))
def test_a_recording_that_changes_its_status_meanwhile_is_on_its_page_once(statuses: frozenset[Status]) -> None:
    changed: set[str] = set()
    for history in histories(400):
        query = replace(history.query(), statuses=statuses, offset=0)
        history.listing.before_read = changing(history, query, changed, 0.5)
        wanted = page_of(history.listing, query)
        page = history.listing.page(query)
        assert (list(page.rows), page.has_more) == (list(wanted.rows), wanted.has_more)
    assert len(changed) > 100


def test_a_page_far_from_the_newest_recording_is_read_again_if_the_recordings_changed() -> None:
    """Changes that the tallies show are noticed. Two that balance one another at that moment may not be."""
    far = wrong = 0
    for history in histories(300):
        query = replace(history.query(), after=None, statuses=ALL_STATUSES)
        total = len(selected(history.listing, query))
        if total < 25:
            continue
        query = replace(query, offset=history.chance.randrange(20, total))
        history.listing.before_read = changing(history, query, set(), 0.3)
        wanted = page_of(history.listing, query)
        page = history.listing.page(query)
        far += 1
        wrong += list(page.rows) != list(wanted.rows)
    assert far > 30
    assert wrong <= far // 20


def test_recordings_that_come_and_go_meanwhile_break_no_page() -> None:
    for history in histories(400):
        listing = history.listing

        def change(history: History = history) -> None:
            step = history.chance.random()
            if step < 0.2:
                history.listing.add(history.recording_id(), history.chance.choice([*Status]))
            elif step < 0.4 and history.listing.statuses:
                history.listing.remove(history.chance.choice([*history.listing.statuses]))

        before = dict(listing.statuses)
        listing.before_read = change
        query = history.query()
        page = listing.page(query)
        assert page.total >= 0
        assert len(page.rows) <= query.limit
        assert list(page.rows) == sorted(page.rows, reverse=True)
        # A page that is cut short would end a walk.
        stayed = {one: status for one, status in listing.statuses.items() if before.get(one) is status}
        older = [
            one
            for one, status in stayed.items()
            if status in query.statuses
            and query.bounds.low <= seconds_of(one) < query.bounds.high
            and page.rows
            and one < min(page.rows)
        ]
        assert page.has_more or not older or not page.rows


# ---------------------------------------------------------------- what pages cost


def busy_listing() -> MemoryListing:
    """A room or a tenant with 30,000 recordings in two years, 7,000 of them on one day."""
    chance, listing, times = random.Random(1), MemoryListing(), []
    for _ in range(23_000):
        times.append(
            BEGIN + chance.randrange(730) * DAY + chance.choices(range(24), [1] * 8 + [9] * 10 + [2] * 6)[0] * 3600
        )
    times += [
        BEGIN + 500 * DAY + chance.choices(range(24), [1] * 8 + [9] * 10 + [2] * 6)[0] * 3600 for _ in range(7000)
    ]
    for at in sorted(times):
        status = chance.choices([*Status], (1, 2, 60, 30, 7))[0]
        listing.add(lowest_id(at + chance.randrange(3600)) + "".join(chance.choices(CROCKFORD, k=16)), status)
    return listing


def test_no_page_costs_more_than_25_units_and_4_trips() -> None:
    listing, chance = busy_listing(), random.Random(2)
    greatest = BEGIN + 500 * DAY
    bounds = (
        Seconds(0, MAX_SECONDS),
        Seconds(greatest + 9 * 3600 + 1234, greatest + 15 * 3600 + 777),
        Seconds(BEGIN + 100 * DAY + 36_123, greatest + 15 * 3600 + 777),
        Seconds(greatest + 9 * 3600 + 100, greatest + 9 * 3600 + 800),
    )
    statuses = (ALL_STATUSES, {Status.READY}, {Status.FAILED}, {Status.READY, Status.ARCHIVED, Status.FAILED})
    for within in bounds:
        for some in statuses:
            for of_room in (True, False):
                query = PageQuery(of_room=of_room, statuses=frozenset(some), bounds=within, limit=20)
                total = len(selected(listing, query))
                for offset in [0, 1, total // 2, total * 99 // 100, max(0, total - 20), total, chance.randrange(total)]:
                    listing.cost = Cost()
                    page = listing.page(replace(query, offset=offset))
                    assert page.total == total
                    assert listing.cost.trips <= LAST_TRIP
                    assert listing.cost.units <= 25, (query, offset)
