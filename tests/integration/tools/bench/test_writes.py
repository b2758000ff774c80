"""The benchmark of writes: its units are those of the items, and its model conflicts as DynamoDB does.

The model runs without moto, which would carry out each request as well.
"""

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.items import PartChecksumItem
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.transaction import Transaction
from tests.support.table import a_table
from tools.bench.writes.conflicts import ConflictModel, load
from tools.bench.writes.run import print_units, starts_of
from tools.bench.writes.units import costs


def write(*sort_keys: str) -> None:
    with Transaction() as transaction:
        for sort_key in sort_keys:
            transaction.save(PartChecksumItem("PARTS#u", sort_key, crc32=1))


def test_of_two_transactions_with_a_common_item_the_later_one_is_cancelled_and_repeated() -> None:
    outcome = load(client, [[lambda: write("1", "2")], [lambda: write("2", "3")]])
    assert (outcome.written, outcome.given_up) == (2, 0)
    assert outcome.cancelled >= 1


def test_transactions_without_a_common_item_do_not_meet() -> None:
    assert load(client, [[lambda: write("1")], [lambda: write("2")]]).cancelled == 0


def test_an_item_is_free_when_its_transaction_has_ended() -> None:
    model = ConflictModel(transaction_seconds=0)
    with model.answering(client):
        write("1")
        write("1")
    assert (model.committed, model.cancelled) == (2, 0)


def test_many_starts_of_one_tenant_at_once_are_all_written_in_a_few_seconds() -> None:
    outcome = load(client, starts_of(processes=64, starts=1, max_parts=64))
    assert (outcome.written, outcome.given_up) == (64, 0)
    # Alone it takes a tenth of a second. Without parts some would be given up.
    assert outcome.max_seconds < 30


def test_units_are_two_for_each_kilobyte_of_an_item_in_a_transaction(capsys: pytest.CaptureFixture[str]) -> None:
    with a_table():
        found = costs(client, Layout.ROWS)
    print_units({Layout.ROWS: found})
    # Recording, link, room, unfinished, two rows, six tallies.
    assert (found[0].change, found[0].units, found[0].items) == ("start", 24, 12)
    assert all(one.recording_bytes <= 1024 for one in found[:3])
    assert "| start | 24 (12) |" in capsys.readouterr().out
