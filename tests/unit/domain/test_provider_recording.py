"""The end of a listing, and the plausible times of a recording."""

from datetime import datetime, timedelta

import pytest

from recordings.domain.provider_recording import OLD_ROWS_AT_END, ProviderRecording, ends_before, started_since
from tests.support.builders import NOON, a_capture

HOUR = timedelta(hours=1)


def listed(*hours: int) -> list[ProviderRecording]:
    """Return recordings that were invoked so many hours ago."""
    return [
        a_capture(cloudflare_recording_id=f"capture_{number}", invoked_at=NOON - ago * HOUR)
        for number, ago in enumerate(hours)
    ]


def ages(provider_recordings: list[ProviderRecording]) -> list[float]:
    return [(NOON - one.invoked_at) / HOUR for one in provider_recordings]


def test_rows_with_wrong_times_do_not_end_a_listing() -> None:
    rows = listed(0, 1, 50_000, 2, *[60_000] * (OLD_ROWS_AT_END - 1), 3, 11, 4, *[12] * OLD_ROWS_AT_END, 5)
    assert ages([*started_since(rows, NOON - 10 * HOUR)]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("hours", "beyond"),
    [
        ([], False),
        ([1], False),
        ([11], True),
        ([1, 11], True),
        ([11, 1], False),
        ([*[1] * 99, 11], False),
        ([*[1] * 91, *[11] * 9], False),
        ([*[1] * 90, *[11] * 10], True),
        ([11] * 100, True),
        ([*[11] * 99, 1], False),
    ],
)
def test_a_page_whose_end_is_too_old_is_the_last_one(hours: list[int], beyond: bool) -> None:
    assert ends_before(listed(*hours), NOON - 10 * HOUR) is beyond


@pytest.mark.parametrize(
    ("reported", "believed"),
    [(None, None), (NOON - HOUR, None), (NOON, None), (NOON + HOUR, NOON + HOUR)],
)
def test_an_expiry_before_the_start_counts_as_not_set(reported: datetime | None, believed: datetime | None) -> None:
    assert a_capture(invoked_at=NOON, url_expires_at=reported).expires_at == believed


def test_without_an_end_a_recording_ended_when_it_began() -> None:
    whole = {"invoked_at": NOON, "started_at": NOON + HOUR, "stopped_at": NOON + 2 * HOUR}
    assert a_capture(**whole).ended_at == NOON + 2 * HOUR
    assert a_capture(**whole | {"stopped_at": None}).ended_at == NOON + HOUR
    assert a_capture(**whole | {"stopped_at": None, "started_at": None}).ended_at == NOON
