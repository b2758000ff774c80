"""Measures and prints both tables."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import boto3
from moto import mock_aws
from moto.core.models import patch_client

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.layout import Layout
from recordings.adapters.dynamodb.listings import Listing
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.spread import Spread
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.recording import Recording
from tools.bench.writes.conflicts import Outcome, load
from tools.bench.writes.units import Cost, costs, life

LAYOUTS: Final = (Layout.DAYS, Layout.BOTH, Layout.ROWS)
# Processes, and transactions of each.
LOADS: Final = ((64, 1), (8, 100), (64, 20))


def main() -> None:
    """Print the write units of each change, and how often transactions conflict."""
    print_units({layout: _costs(layout) for layout in LAYOUTS})
    print()
    print("| processes, starts of each | parts | written | given up | cancelled attempts | median | longest |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for processes, starts in LOADS:
        for max_parts in (1, 64):
            print(_line(processes, starts, max_parts, load(client, starts_of(processes, starts, max_parts))))


def print_units(found: dict[Layout, Sequence[Cost]]) -> None:
    print("| change | " + " | ".join(f"{layout}: units (items)" for layout in found) + " | bytes of the recording |")
    print("| --- |" + " --- |" * (len(found) + 1))
    for row in zip(*found.values(), strict=True):
        cells = " | ".join(f"{one.units} ({one.items})" for one in row)
        print(f"| {row[0].change} | {cells} | {row[0].recording_bytes:,} |")


def starts_of(processes: int, starts: int, max_parts: int) -> list[list[Callable[[], None]]]:
    """Return transactions that start recordings in rooms of their own, for each process, which knows its own parts."""
    _, first = next(life())
    return [
        [
            partial(_start, replace(first, id=f"rec_01KKY9E2K8{number:016}", room_id=f"room_{number}"), spread)
            for number in range(process * starts, (process + 1) * starts)
        ]
        for process, spread in enumerate(Spread(max_parts) for _ in range(processes))
    ]


def _start(recording: Recording, spread: Spread) -> None:
    with Transaction(spread) as transaction:
        transaction.save(RecordingItem.from_domain(recording))
        Listing(Layout.ROWS, frozenset()).change(transaction, None, recording)


def _line(processes: int, starts: int, max_parts: int, outcome: Outcome) -> str:
    times = f"{outcome.median_seconds * 1000:,.0f} ms | {outcome.max_seconds * 1000:,.0f} ms"
    counts = f"{outcome.written:,} | {outcome.given_up:,} | {outcome.cancelled:,}"
    return f"| {processes} × {starts} | {max_parts} | {counts} | {times} |"


def _costs(layout: Layout) -> list[Cost]:
    with mock_aws():
        # A client that was made before moto was imported does not know moto.
        patch_client(client)
        _create_table(boto3.client("dynamodb"))
        return costs(client, layout)


def _create_table(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
