"""The meter of `make bench-api`: what it counts, computed by hand."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.settings import TABLE
from tests.support.table import a_table
from tools.bench.api.meter import Costs, Meter


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Twenty items of just over 1 KB."""
    with a_table():
        for number in range(20):
            client.put_item(TableName=TABLE, Item=item(number))
        yield


def key(number: int) -> Any:
    return {"pk": {"S": "pk"}, "sk": {"S": f"{number:02}"}}


def item(number: int, size: int = 1000) -> Any:
    # With names and keys just as many bytes more as 1,024 needs, and one.
    return {**key(number), "even": {"BOOL": number % 2 == 0}, "text": {"S": "x" * (size + 8)}}


def measured(act: Callable[[], object]) -> Costs:
    with Meter(list).measured() as costs:
        act()
    return costs


def query(**arguments: Any) -> Callable[[], object]:
    values = {":pk": {"S": "pk"}} | arguments.pop("values", {})
    return lambda: client.query(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues=values,
        **arguments,
    )


EVEN: Any = {
    "FilterExpression": "#even = :yes",
    "ExpressionAttributeNames": {"#even": "even"},
    "values": {":yes": {"BOOL": True}},
}


@pytest.mark.parametrize(
    ("act", "units"),
    [
        pytest.param(query(), 6, id="20 items of 1,025 bytes"),
        pytest.param(query(**EVEN), 6, id="a filter saves nothing"),
        pytest.param(query(ProjectionExpression="sk"), 6, id="a projection saves nothing"),
        pytest.param(query(Select="COUNT"), 6, id="counting costs as much as reading"),
        pytest.param(query(Limit=4), 2, id="a limit does"),
        pytest.param(lambda: client.get_item(TableName=TABLE, Key=key(0)), 0.5, id="an eventually consistent read"),
        pytest.param(
            lambda: client.batch_get_item(
                RequestItems={TABLE: {"Keys": [key(0), key(1), key(99)], "ConsistentRead": True}}
            ),
            3,
            id="a batch rounds each item up, and one that does not exist",
        ),
    ],
)
def test_reads(act: Callable[[], object], units: float) -> None:
    costs = measured(act)
    assert (costs.read_units, costs.write_units, costs.trips) == (units, 0, 1)


def put(number: int, size: int, **condition: Any) -> Any:
    return {"TableName": TABLE, "Item": item(number, size), **condition}


def refused(act: Callable[[], object]) -> Callable[[], object]:
    def acting() -> None:
        with pytest.raises(ClientError):
            act()

    return acting


NEW: Any = {"ConditionExpression": "attribute_not_exists(pk)"}
CHECK: Any = {"TableName": TABLE, "Key": key(0), "ConditionExpression": "attribute_exists(pk)"}


@pytest.mark.parametrize(
    ("act", "units"),
    [
        pytest.param(lambda: client.put_item(**put(50, 10)), 1, id="a new item"),
        pytest.param(lambda: client.put_item(**put(51, 2000)), 2, id="a larger one"),
        pytest.param(lambda: client.put_item(**put(51, 10)), 2, id="the old item was larger"),
        pytest.param(lambda: client.delete_item(TableName=TABLE, Key=key(1)), 2, id="a deleted item"),
        pytest.param(refused(lambda: client.put_item(**put(2, 3000, **NEW))), 3, id="a failed condition"),
        pytest.param(
            lambda: client.transact_write_items(TransactItems=[{"Put": put(52, 10)}, {"ConditionCheck": CHECK}]),
            2 + 4,
            id="a transaction with a check",
        ),
        pytest.param(
            refused(
                lambda: client.transact_write_items(TransactItems=[{"Put": put(53, 10)}, {"Put": put(2, 10, **NEW)}])
            ),
            2 + 4,
            id="a cancelled transaction",
        ),
    ],
)
def test_writes(act: Callable[[], object], units: int) -> None:
    costs = measured(act)
    assert (costs.write_units, costs.read_units, costs.trips) == (units, 0, 1)


def read(number: int) -> None:
    client.get_item(TableName=TABLE, Key=key(number))


def in_pool(workers: int, tasks: int) -> Callable[[], object]:
    def act() -> None:
        read(0)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(read, range(tasks)))
        read(0)

    return act


def in_turn() -> None:
    read(0)
    read(1)


@pytest.mark.parametrize(
    ("act", "trips", "calls"),
    [
        pytest.param(in_pool(4, 4), 3, 6, id="as many workers as tasks"),
        pytest.param(in_pool(2, 5), 5, 7, id="two workers take turns"),
        pytest.param(in_turn, 2, 2, id="one after another"),
    ],
)
def test_trips_are_calls_that_wait_for_each_other(act: Callable[[], object], trips: int, calls: int) -> None:
    costs = measured(act)
    assert (costs.trips, costs.calls) == (trips, {"dynamodb.GetItem": calls})


def test_what_happens_outside_is_not_counted() -> None:
    with Meter(list).measured() as costs:
        read(0)
    read(1)
    assert costs.calls == {"dynamodb.GetItem": 1}
