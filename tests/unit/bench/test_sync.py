"""What the sync benchmark prints."""

from bench import sync
from bench.sync import Row


def test_what_a_sync_needs_is_its_pages_and_a_call_for_each_new_recording() -> None:
    row = Row(1000, "whole list", {"list": 11, "get": 50}, 11, 200, 3.5)

    assert row.needed == 61
    assert row.needed == sum(row.calls.values())


def test_calls_stand_beside_what_is_needed() -> None:
    rows = [
        Row(1000, "whole list", {"list": 11, "get": 50}, 11, 200, 3.54),
        Row(1000, "since the last", {"list": 2}, 2, 0, 120.0),
    ]

    _, first, second = sync.table(rows).splitlines()

    assert first.split() == ["1000", "whole", "list", "61", "61", "50", "get,", "11", "list", "200", "3.5"]
    assert second.split() == ["1000", "since", "the", "last", "2", "52", "2", "list", "0", "120.0"]
