"""Times and recording ids."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from ulid import ULID

from recordings.adapters.dynamodb.id_times import MAX_SECONDS, Seconds, just_before, lowest_id, seconds_of
from recordings.ports.repositories import Filter

AT = datetime(2026, 1, 6, 10, 30, 7, tzinfo=UTC)
SECONDS = int(AT.timestamp())


def test_an_id_has_the_time_that_it_was_made_from() -> None:
    recording_id = f"rec_{ULID.from_datetime(AT + timedelta(milliseconds=999))}"
    assert seconds_of(recording_id) == SECONDS
    assert lowest_id(SECONDS) < recording_id < lowest_id(SECONDS + 1)


@pytest.mark.parametrize("last", ["0", "1", "9", "A", "H", "J", "Z"])
def test_a_text_just_before_an_id_lies_between_it_and_every_lower_id(last: str) -> None:
    start = "rec_01KE9JV8G00000000000001A"
    text = just_before(f"{start}5{last}")
    assert text < f"{start}5{last}"
    lower = {"0": f"{start}4Z", "1": f"{start}50", "9": f"{start}58", "A": f"{start}59"}
    assert lower.get(last, f"{start}5{chr(ord(last) - 1)}") <= text


@pytest.mark.parametrize(
    ("only", "wanted"),
    [
        pytest.param(Filter(), (0, MAX_SECONDS), id="no bounds"),
        pytest.param(Filter(created_after=AT), (SECONDS + 1, MAX_SECONDS), id="after"),
        pytest.param(Filter(created_after=AT + timedelta(microseconds=1)), (SECONDS + 1, MAX_SECONDS), id="fraction"),
        pytest.param(Filter(created_before=AT), (0, SECONDS), id="before"),
        pytest.param(Filter(created_before=AT + timedelta(microseconds=1)), (0, SECONDS + 1), id="before a fraction"),
        pytest.param(Filter(created_after=datetime(1, 1, 1, tzinfo=UTC)), (0, MAX_SECONDS), id="after the first time"),
        pytest.param(
            Filter(created_before=datetime.max.replace(tzinfo=timezone(-timedelta(hours=23)))),
            (0, MAX_SECONDS),
            id="before the last time",
        ),
        pytest.param(
            Filter(created_after=AT, created_before=AT - timedelta(days=1)),
            (SECONDS + 1, SECONDS + 1),
            id="the wrong way round",
        ),
    ],
)
def test_a_filter_selects_whole_seconds(only: Filter, wanted: tuple[int, int]) -> None:
    assert Seconds.of(only) == wanted
    assert Seconds.of(only).is_empty == (wanted[0] >= wanted[1])
