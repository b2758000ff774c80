"""The times in recording ids: their order is the order of the lists, so times become ranges of sort keys.

An id begins with 48 bits of milliseconds in Crockford's base 32 (ULID specification). Lists have whole seconds, so
times here are whole seconds since 1970.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

from recordings.ports.repositories import Filter

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Below and above every id.
FIRST_ID: Final = "rec_"
LAST_ID: Final = "rec_~"
# Later times cannot be computed with; no recording is that new.
MAX_SECONDS: Final = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
_DIGITS: Final = {digit: value for value, digit in enumerate(CROCKFORD)}
_TIME_LENGTH: Final = 10


class Seconds(NamedTuple):
    """The times from `low` (included) to `high` (excluded). Without bounds they are 0 and MAX_SECONDS."""

    low: int
    high: int

    @classmethod
    def of(cls, only: Filter) -> Self:
        """Return the times that a filter selects. Both times of a filter are exclusive."""
        low, high = 0, MAX_SECONDS
        if only.created_after is not None:
            low = min(MAX_SECONDS, max(0, _whole_seconds(only.created_after) + 1))
        if only.created_before is not None:
            has_fraction = only.created_before.microsecond > 0
            high = min(MAX_SECONDS, max(0, _whole_seconds(only.created_before) + has_fraction))
        return cls(low, max(low, high))

    @property
    def is_empty(self) -> bool:
        return self.low >= self.high

    @property
    def lowest_id(self) -> str:
        """The beginning of the lowest id of these times; no id equals it."""
        return lowest_id(self.low) if self.low > 0 else FIRST_ID

    @property
    def highest_id(self) -> str:
        """A text after the highest id of these times; no id equals it."""
        return lowest_id(self.high) if self.high < MAX_SECONDS else LAST_ID


def lowest_id(seconds: int) -> str:
    """Return the beginning of the lowest id of a time."""
    rest = seconds * 1000
    text = ""
    for _ in range(_TIME_LENGTH):
        rest, digit = divmod(rest, len(CROCKFORD))
        text = CROCKFORD[digit] + text
    return f"{FIRST_ID}{text}"


def just_before(recording_id: str) -> str:
    """Return a text below this id and above every lower id, as the bound of a query that includes its bounds."""
    return f"{recording_id[:-1]}{chr(ord(recording_id[-1]) - 1)}~"


def seconds_of(recording_id: str) -> int:
    """Return the time of an id."""
    milliseconds = 0
    for digit in recording_id[len(FIRST_ID) : len(FIRST_ID) + _TIME_LENGTH]:
        milliseconds = milliseconds * len(CROCKFORD) + _DIGITS[digit]
    return milliseconds // 1000


def _whole_seconds(at: datetime) -> int:
    return int(at.replace(microsecond=0).timestamp())
