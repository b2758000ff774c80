"""Which reads a page of recordings takes. No I/O: `plan_page` yields trips and receives their answers.

A page that begins near the newest recording is read at once, beside the tallies that make the total. Any other page is
found in the tallies: those of the years show in which month it begins, the month's on which day, and the day's in which
quarter hour. Then rows are read from the nearer end of that time.

A change of status deletes a row in one partition and puts it into another, and two partitions are never read at the
same moment. So a page of several statuses is verified: see `_near_rows` and `_RowRange`.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from recordings.adapters.dynamodb.id_times import MAX_SECONDS, Seconds, just_before
from recordings.adapters.dynamodb.page_reads import Answers, CountRead, FoundPage, PageQuery, RowsRead, TallyRead, Trip
from recordings.adapters.dynamodb.timeline import (
    Counters,
    Span,
    Tallies,
    Timeline,
    finer,
    spans_of,
    starts_a_child,
)
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.tally import Level

# Reading so many rows to skip them costs less than the tally that would tell where to begin, and no trip.
MAX_SKIPPED_ROWS: Final = 64
# A whole recording is as large as ten rows.
MAX_SKIPPED_RECORDINGS: Final = 8
# Rows are read in this trip at the latest.
LAST_TRIP: Final = 4

type Plan[R, T] = Generator[Trip, Answers[R], T]


def plan_page[R](query: PageQuery) -> Plan[R, FoundPage[R]]:
    """Yield the trips that a page takes, each with its reads, and return the page."""
    return (yield from (_near_page(query) if _is_near(query) else _far_page(query)))


def _is_near(query: PageQuery) -> bool:
    """Return whether the page begins so near to a known id that its rows are read at once."""
    if query.after is not None or query.offset == 0:
        return True
    if len(query.statuses) == 1:
        return query.offset <= MAX_SKIPPED_ROWS
    return _reads_recordings(query) and query.offset <= MAX_SKIPPED_RECORDINGS


def _reads_recordings(query: PageQuery) -> bool:
    """Return whether one partition has everything that is selected: the tenant's recordings themselves."""
    return query.has_all_statuses and not query.of_room


def _near_page[R](query: PageQuery) -> Plan[R, FoundPage[R]]:
    first, second = _near_rows(query)
    responses = yield Trip(tallies=_bound_tallies(query), rows=first)
    timeline = _timeline_of(query, responses)
    found = _merged(responses.rows)
    counts = _cut_counts(query, timeline)
    if counts or second:
        responses = yield Trip(counts=counts, rows=second)
        timeline = _recounted(query, timeline, responses.counts)
        found |= _merged(responses.rows)
    return _page_of(query, found, skipped=query.offset, total=timeline.total)


def _near_rows(query: PageQuery) -> tuple[Sequence[RowsRead], Sequence[RowsRead]]:
    """Return the rows to read in the first trip and in the second.

    The first trip reads every status that a recording may leave for another one of the filter, the second every status
    that a recording may come to. So a recording that changes once meanwhile is read before its change or after it.
    """
    low, high = query.bounds.lowest_id, query.bounds.highest_id
    if query.after is not None:
        high = min(high, just_before(query.after))
    limit = query.offset + query.limit + 1

    def reads(statuses: Sequence[Status | None]) -> list[RowsRead]:
        return [RowsRead(status, low, high, limit) for status in statuses] if low < high else []

    if _reads_recordings(query):
        return reads([None]), []
    moves = [(before, after) for before in Status for after in set(TRANSITIONS[before].values())]
    within = [move for move in moves if query.statuses.issuperset(move)]
    second = [status for status in Status if status in {after for _, after in within}]
    sources = {before for before, _ in within}
    first = [status for status in Status if status in query.statuses and (status in sources or status not in second)]
    return reads(first), reads(second)


def _far_page[R](query: PageQuery) -> Plan[R, FoundPage[R]]:
    responses = yield Trip(tallies=_bound_tallies(query))
    timeline, trip = _timeline_of(query, responses), 2
    counts = _cut_counts(query, timeline)
    if counts:
        # How many of the newest span lie within the bounds is not known yet.
        newest = timeline.spans[0]
        unknown = newest.total if newest.times.high > query.bounds.high else 0
        tallies = _finer_tallies(query, timeline, {query.offset, query.offset + unknown})
        responses = yield Trip(counts=counts, tallies=tallies)
        timeline = _recounted(query, timeline, responses.counts).refined(_counters(responses))
        trip += 1
    total = timeline.total
    while trip < LAST_TRIP and (tallies := _finer_tallies(query, timeline, {query.offset})):
        responses = yield Trip(tallies=tallies)
        timeline = timeline.refined(_counters(responses))
        trip += 1
    if query.offset >= timeline.total:
        return FoundPage(total=total)
    rows = _RowRange.of(query, timeline, query.offset)
    responses = yield Trip(rows=rows.reads)
    found = rows.found(responses.rows)
    if found is not None:
        return _page_of(query, found, skipped=rows.before_page if rows.newest_first else 0, total=total)
    # The recordings changed since the tallies were read. What was read is kept: a recording that changed its status
    # meanwhile is in the first answers or in the second.
    repeated = yield Trip(rows=rows.repeated_reads(query))
    return _page_of(query, _merged(responses.rows) | _merged(repeated.rows), skipped=rows.before_page, total=total)


def _page_of[R](query: PageQuery, found: Mapping[str, R], *, skipped: int, total: int) -> FoundPage[R]:
    """Return the page that begins after `skipped` of the rows that were found."""
    ids = sorted(found, reverse=True)[skipped:]
    rows = {one: found[one] for one in ids[: query.limit]}
    return FoundPage(rows=rows, total=total, has_more=len(ids) > query.limit)


def _merged[R](rows: Mapping[RowsRead, Mapping[str, R]]) -> dict[str, R]:
    """Return the rows of several reads by id. Of two rows with an id the later read has the newer status."""
    return {recording_id: row for found in rows.values() for recording_id, row in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowRange:
    """The rows to read for a page that begins in a known span: from the end of the range that is nearer to the page.

    The tallies show how many rows each status has there. If a status has fewer by now, or one more shows that they are
    not the same, the recordings changed meanwhile and the answers may lack one.
    """

    low: str
    high: str
    newest_first: bool
    # How many rows, in the order of the read, show the page and whether there is another one.
    needed: int
    # How many of them are in each status at most.
    limits: Mapping[Status, int]
    # How many recordings are newer than the range, and how many of its newest ones are not on the page.
    newer: int
    before_page: int

    @classmethod
    def of(cls, query: PageQuery, timeline: Timeline, offset: int) -> "_RowRange":
        first, last = timeline.place_of(offset), timeline.place_of(offset + query.limit)
        spans = timeline.spans
        before_page = offset - first.newer
        from_newest = before_page + query.limit + 1
        from_oldest = last.newer + spans[last.at].total - offset
        downwards = _limits(
            timeline.counts_between(first.at, last.at - 1),
            spans[last.at].counts,
            from_newest - (last.newer - first.newer),
        )
        upwards = _limits(
            timeline.counts_between(first.at + 1, last.at),
            spans[first.at].counts,
            first.newer + spans[first.at].total - offset,
        )
        newest_first = sum(downwards.values()) <= sum(upwards.values())
        return cls(
            low=Seconds(spans[last.at].times.low, MAX_SECONDS).lowest_id,
            high=Seconds(0, spans[first.at].times.high).highest_id,
            newest_first=newest_first,
            needed=from_newest if newest_first else from_oldest,
            limits=downwards if newest_first else upwards,
            newer=first.newer,
            before_page=before_page,
        )

    @property
    def reads(self) -> list[RowsRead]:
        # One row more than expected shows that there are others.
        return [
            RowsRead(status, self.low, self.high, limit + 1, self.newest_first) for status, limit in self.limits.items()
        ]

    def repeated_reads(self, query: PageQuery) -> list[RowsRead]:
        """Return reads that need no tally: of every status, from the newest row of the range on."""
        limit = self.before_page + query.limit + 1
        return [
            RowsRead(status, query.bounds.lowest_id, self.high, limit) for status in Status if status in query.statuses
        ]

    def found[R](self, rows: Mapping[RowsRead, Mapping[str, R]]) -> Mapping[str, R] | None:
        """Return the rows of the range down to the end of the page; None if they are not those of the tallies."""
        found = _merged(rows)
        if len(found) < sum(len(of_status) for of_status in rows.values()):
            # A recording is in two statuses: others may be in none.
            return None
        ids = sorted(found, reverse=self.newest_first)[: self.needed]
        for read, of_status in rows.items():
            if len(of_status) < read.limit - 1:
                return None
            if len(of_status) == read.limit:
                # Rows beyond the last one are not known.
                last = [*of_status][-1]
                if ids and (ids[-1] < last if self.newest_first else ids[-1] > last):
                    return None
        return {one: found[one] for one in ids}


def _limits(inner: Mapping[Status, int], outer: Mapping[Status, int], rest: int) -> dict[Status, int]:
    """Return how many rows of each status are among all `inner` ones and the `rest` nearest of the `outer` ones."""
    statuses = [status for status in Status if inner.get(status) or outer.get(status)]
    return {status: inner.get(status, 0) + min(rest, outer.get(status, 0)) for status in statuses}


def _finer_tallies(query: PageQuery, timeline: Timeline, positions: set[int]) -> list[TallyRead]:
    """Return the tallies that show more exactly where a page begins, for each position where it may begin.

    There is none if so few rows lie between the page and a known time that they are read instead.
    """
    reads: list[TallyRead] = []
    for position in sorted(positions):
        if (
            position >= timeline.total
            or _RowRange.of(query, timeline, position).needed <= query.limit + 1 + MAX_SKIPPED_ROWS
        ):
            continue
        span = timeline.spans[timeline.place_of(position).at]
        if span.level is not Level.DAY:
            reads.append(TallyRead(finer(span.level), span.bucket, span.bucket))
    return [*dict.fromkeys(reads)]


def _bound_tallies(query: PageQuery) -> list[TallyRead]:
    """Return the tallies that make the total: of the years, and of the buckets that a bound cuts.

    Bounds that lie in the same month or day need no coarser tallies.
    """
    low, high = query.bounds
    reads: list[TallyRead] = []
    for level, coarser in ((Level.DAY, Level.MONTH), (Level.MONTH, Level.YEAR), (Level.YEAR, None)):
        cut = [bound for bound in (low, high) if coarser is not None and not starts_a_child(coarser, bound)]
        reads += [TallyRead(level, bucket, bucket) for bucket in dict.fromkeys(_bucket(level, bound) for bound in cut)]
        if coarser is None:
            reads.append(TallyRead(level, _bucket(level, low), _bucket(level, high - 1)))
        elif cut and _bucket(level, low) == _bucket(level, high - 1):
            break
    return reads[::-1]


def _timeline_of[R](query: PageQuery, responses: Answers[R]) -> Timeline:
    """Return the timeline between the bounds, from the tallies of the first trip."""
    coarsest = next(iter(responses.tallies))
    spans = (
        span
        for bucket, counters in sorted(responses.tallies[coarsest].items(), reverse=True)
        for span in spans_of(coarsest.level, bucket, counters, query.statuses)
    )
    return Timeline(spans, bounds=query.bounds, statuses=query.statuses).cut_by(_counters(responses))


def _counters[R](responses: Answers[R]) -> Tallies:
    def counters(level: Level, bucket: str) -> Counters | None:
        found = responses.tallies.get(TallyRead(level, bucket, bucket))
        # A tally that does not exist counts nothing.
        return found.get(bucket, {}) if found is not None else None

    return counters


def _cut_counts(query: PageQuery, timeline: Timeline) -> list[CountRead]:
    return [CountRead(status, _counted(query, span)) for span in timeline.cut for status in span.counts]


def _counted(query: PageQuery, span: Span) -> Seconds:
    """Return the times of a cut span to count: those within the bounds, or the others if they are shorter."""
    within = _within(query, span)
    if within.low > span.times.low and within.high < span.times.high:
        return within
    beyond = (
        Seconds(span.times.low, within.low) if within.low > span.times.low else Seconds(within.high, span.times.high)
    )
    return min(within, beyond, key=lambda times: times.high - times.low)


def _recounted(query: PageQuery, timeline: Timeline, counts: Mapping[CountRead, int]) -> Timeline:
    """Return the timeline with what the cut spans have within the bounds."""
    spans: dict[Seconds, Span] = {}
    for span in timeline.cut:
        within, counted = _within(query, span), _counted(query, span)
        numbers: dict[Status, int] = {}
        for status, number in span.counts.items():
            rows = counts[CountRead(status, counted)]
            numbers[status] = rows if counted == within else max(0, number - rows)
        numbers = {status: number for status, number in numbers.items() if number}
        spans[span.times] = Span(span.level, within, numbers, sum(numbers.values()))
    return timeline.recounted(spans)


def _within(query: PageQuery, span: Span) -> Seconds:
    return Seconds(max(span.times.low, query.bounds.low), min(span.times.high, query.bounds.high))


def _bucket(level: Level, seconds: int) -> str:
    return level.bucket_of(datetime.fromtimestamp(seconds, UTC))
