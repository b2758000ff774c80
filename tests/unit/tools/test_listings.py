"""Whatever differs between recordings and what lists are read from is found."""

from collections.abc import Iterator
from typing import Any

import pytest

from tools.listings import faults_of_lists

type Plain = dict[str, Any]

ID = "rec_01KE9JV8G00000000000000010"


def recording(**changes: Any) -> Plain:
    facts = {"pk": "T#a#REC", "sk": ID, "tenant_id": "a", "room_id": "r", "status": "ready"}
    measures = {"created_at": "2026-01-06T12:14:59Z", "duration_seconds": 5, "file": {"size_bytes": 7}}
    return facts | measures | changes


def table(**changes: Any) -> dict[str, Plain]:
    """What a recording that is ready requires, by short names."""
    shown = {"seconds": 5, "bytes": 7}
    day = {"total": 1, "status_ready": 1, **shown}
    items: dict[str, Plain] = {
        "recording": recording(),
        "layout": {"pk": "LAYOUT", "sk": "STATE", "state": "both"},
        "row": {"pk": "T#a#ROWS#ready", "sk": ID, "kind": "row", "room": "r", **shown},
        "room row": {"pk": "T#a#ROWS#ready#r", "sk": ID, **shown},
        "year": {"pk": "T#a#YEARS", "sk": "2026#00", "01d": 1},
        "year of the room": {"pk": "T#a#YEARS#r", "sk": "2026#00", "01d": 1},
        "month": {"pk": "T#a#MONTHS", "sk": "2026-01#00", "06d": 1},
        "month of the room": {"pk": "T#a#MONTHS#r", "sk": "2026-01#00", "06d": 1},
        "day": {"pk": "T#a#DAYS", "sk": "2026-01-06#00", "48d": 1, **shown},
        "day of the room": {"pk": "T#a#DAYS#r", "sk": "2026-01-06#00", "48d": 1, **shown},
        "list": {"pk": "T#a#LIST#r", "sk": ID},
        "tally": {"pk": "T#a#DAY", "sk": "2026-01-06", **day},
        "tally of the room": {"pk": "T#a#DAY#r", "sk": "2026-01-06", **day},
    }
    return items | changes


def faults(items: dict[str, Plain]) -> Iterator[str]:
    return faults_of_lists(items.values())


def without(name: str) -> dict[str, Plain]:
    return {key: item for key, item in table().items() if key != name}


def test_what_is_required_is_right() -> None:
    assert [*faults(table())] == []


def test_counters_of_parts_add_up_and_zero_is_nothing() -> None:
    parts = {
        "first": {"pk": "T#a#YEARS", "sk": "2026#00", "01d": 3, "01p": 0},
        "second": {"pk": "T#a#YEARS", "sk": "2026#63", "01d": -2},
    }
    assert [*faults(without("year") | parts)] == []


@pytest.mark.parametrize("name", [name for name in table() if name not in {"recording", "layout"}])
def test_an_item_that_is_missing_is_a_fault(name: str) -> None:
    assert len([*faults(without(name))]) == 1


@pytest.mark.parametrize("name", ["row", "room row", "year", "month of the room", "day", "tally"])
def test_another_number_is_a_fault(name: str) -> None:
    item = table()[name]
    counter = next(key for key, value in item.items() if isinstance(value, int))
    assert len([*faults(table(**{name: item | {counter: 9}}))]) == 1


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"pk": "T#a#ROWS#failed", "sk": ID, "room": "r"}, id="a row in another status"),
        pytest.param({"pk": "T#a#YEARS#r", "sk": "2026#01", "01d": 1}, id="a room's tally in parts"),
        pytest.param({"pk": "T#a#DAYS", "sk": "2026-01-06#64", "48d": 1}, id="a part too many"),
        pytest.param({"pk": "T#b#LIST#r", "sk": ID}, id="a list of another tenant"),
    ],
)
def test_an_item_too_many_is_a_fault(item: Plain) -> None:
    assert [*faults(table(stray=item))] != []


def test_a_deleted_recording_requires_nothing() -> None:
    assert len([*faults(table(recording=recording(pk="T#a#TRASH")))]) == 11


@pytest.mark.parametrize(
    ("state", "left_out"), [("rows", {"list", "tally", "tally of the room"}), ("days", {"row", "room row", "year"})]
)
def test_only_what_a_state_maintains_is_compared(state: str, left_out: set[str]) -> None:
    layout = {"pk": "LAYOUT", "sk": "STATE", "state": state}
    assert [*faults({name: item for name, item in table(layout=layout).items() if name not in left_out})] == []
