"""How many recordings there are at which times, from tallies. No I/O.

A timeline begins with months, which the tallies of years count. Where a bound of the filter or the beginning of a page
lies within a month, the month is replaced by its days, and a day by its quarter hours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from recordings.adapters.dynamodb.id_times import MAX_SECONDS, Seconds
from recordings.domain.lifecycle import Status
from recordings.domain.tally import Level, parse_counter

# The counters of a bucket, all parts added up.
type Counters = Mapping[str, int]
# Returns the counters of a bucket; None if they were not read.
type Tallies = Callable[[Level, str], Counters | None]

_SECONDS: Final[Mapping[Level, int]] = {Level.MONTH: 86_400, Level.DAY: 900}


class Span(NamedTuple):
    """The times of one child of a tally, and how many recordings of each status were created then. None is zero."""

    level: Level
    times: Seconds
    counts: Mapping[Status, int]
    total: int

    @property
    def bucket(self) -> str:
        """The bucket of the next finer level that covers the same times."""
        return finer(self.level).bucket_of(datetime.fromtimestamp(self.times.low, UTC))


class Place(NamedTuple):
    """A span in a timeline, and how many recordings are newer than it."""

    at: int
    newer: int


def finer(level: Level) -> Level:
    """Return the level whose buckets are the children of this one."""
    return Level.MONTH if level is Level.YEAR else Level.DAY


def spans_of(level: Level, bucket: str, counters: Counters, statuses: frozenset[Status]) -> list[Span]:
    """Return the children of a bucket that have recordings in these statuses, the newest first."""
    children: dict[str, dict[Status, int]] = {}
    for name, number in counters.items():
        counter = parse_counter(name)
        # Parts of a bucket are not read at the same moment, so a sum may be negative.
        if counter is not None and counter[1] in statuses and number > 0:
            children.setdefault(counter[0], {})[counter[1]] = number
    return [
        Span(level, _times(level, bucket, child), counts, sum(counts.values()))
        for child, counts in sorted(children.items(), reverse=True)
    ]


class Timeline:
    """Spans that have recordings, the newest first, between the bounds of a filter.

    A span is `cut` if a bound lies within it and no finer tally counts it: how many of its recordings are within the
    bounds is not known. There are two at most.
    """

    def __init__(self, spans: Iterable[Span], *, bounds: Seconds, statuses: frozenset[Status]) -> None:
        self.spans: Sequence[Span] = list(spans)
        self.total = sum(span.total for span in self.spans)
        self._bounds, self._statuses = bounds, statuses

    @property
    def cut(self) -> list[Span]:
        return [span for span in self.spans if self._is_cut(span)]

    def cut_by(self, tallies: Tallies) -> "Timeline":
        """Return what lies within the bounds. Spans that a bound cuts are replaced by finer ones that were read."""
        return self._with(self._within(self.spans, tallies))

    def refined(self, tallies: Tallies) -> "Timeline":
        """Return the timeline with the finer spans of those whose tallies are read."""
        spans: list[Span] = []
        for span in self.spans:
            found = tallies(finer(span.level), span.bucket) if span.level is not Level.DAY else None
            spans += [span] if found is None else self._finer_spans(span, found)
        return self._with(spans)

    def recounted(self, counted: Mapping[Seconds, Span]) -> "Timeline":
        """Return the timeline with other spans in place of those of some times, without spans that are empty."""
        spans = (counted.get(span.times, span) for span in self.spans)
        return self._with(span for span in spans if span.total)

    def place_of(self, position: int) -> Place:
        """Return the span that has the recording at a position (0 is the newest), or the last one."""
        newer = 0
        for at, span in enumerate(self.spans):
            if position < newer + span.total or at + 1 == len(self.spans):
                return Place(at, newer)
            newer += span.total
        return Place(0, 0)

    def counts_between(self, first: int, last: int) -> dict[Status, int]:
        """Return how many recordings the spans from `first` to `last`, both included, have in each status."""
        counts: dict[Status, int] = {}
        for span in self.spans[first : last + 1]:
            for status, number in span.counts.items():
                counts[status] = counts.get(status, 0) + number
        return counts

    def _with(self, spans: Iterable[Span]) -> "Timeline":
        return Timeline(spans, bounds=self._bounds, statuses=self._statuses)

    def _is_cut(self, span: Span) -> bool:
        return span.times.low < self._bounds.low or span.times.high > self._bounds.high

    def _within(self, spans: Iterable[Span], tallies: Tallies) -> Iterator[Span]:
        for span in spans:
            if span.times.high <= self._bounds.low or span.times.low >= self._bounds.high:
                continue
            found = (
                tallies(finer(span.level), span.bucket) if self._is_cut(span) and span.level is not Level.DAY else None
            )
            if found is None:
                yield span
            else:
                yield from self._within(self._finer_spans(span, found), tallies)

    def _finer_spans(self, span: Span, counters: Counters) -> list[Span]:
        return spans_of(finer(span.level), span.bucket, counters, self._statuses)


def starts_a_child(level: Level, seconds: int) -> bool:
    """Return whether a child of this level's buckets begins at this time. There is no bound at 0 and MAX_SECONDS."""
    if seconds in (0, MAX_SECONDS):
        return True
    at = datetime.fromtimestamp(seconds, UTC)
    return int(level.start_of(level.bucket_of(at), level.child_of(at)).timestamp()) == seconds


def _times(level: Level, bucket: str, child: str) -> Seconds:
    start = level.start_of(bucket, child)
    low = int(start.timestamp())
    if level is Level.YEAR:
        return Seconds(low, int((start + timedelta(days=31)).replace(day=1).timestamp()))
    return Seconds(low, low + _SECONDS[level])
