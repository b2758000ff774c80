"""How many parts the counters of a tenant have."""

import pytest

from recordings.adapters.dynamodb.listing_items import MAX_PARTS
from recordings.adapters.dynamodb.spread import HALVED_AFTER_SECONDS, Spread


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_quiet_tenant_has_one_part() -> None:
    spread = Spread()
    assert {spread.pick_part("a") for _ in range(20)} == {0}


def test_each_conflict_doubles_the_parts_of_its_tenant_up_to_a_limit(clock: list[float]) -> None:
    spread, widths = Spread(), []
    for _ in range(8):
        spread.widen("a")
        widths.append(spread.width("a"))
    assert widths == [2, 4, 8, 16, 32, MAX_PARTS, MAX_PARTS, MAX_PARTS]
    assert spread.width("b") == 1
    assert {spread.pick_part("a") for _ in range(2000)} == {*range(MAX_PARTS)}


def test_each_minute_without_a_conflict_halves_the_parts(clock: list[float]) -> None:
    spread = Spread()
    for _ in range(3):
        spread.widen("a")
    widths = []
    for _ in range(4):
        clock[0] += HALVED_AFTER_SECONDS
        widths.append(spread.width("a"))
    assert widths == [4, 2, 1, 1]
    spread.widen("a")
    assert spread.width("a") == 2
