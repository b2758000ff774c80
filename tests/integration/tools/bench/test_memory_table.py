"""The table in memory, against moto's: the same items, the same requests, the same responses."""

from collections.abc import Iterator
from typing import Any

import pytest

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.settings import TABLE
from tests.support.table import a_table
from tools.bench.dynamodb.expressions import ExpressionError
from tools.bench.dynamodb.table import MemoryTable
from tools.bench.units import item_size

ITEMS: list[dict[str, Any]] = [
    {
        "pk": {"S": pk},
        "sk": {"S": f"key-{number:02}"},
        "number": {"N": str(number * 10)},
        "color": {"S": ("red", "green", "blue")[number % 3]},
        **({"even": {"BOOL": True}} if number % 2 == 0 else {}),
        "text": {"S": "x" * 1000},
        **({"file": {"M": {"bytes": {"N": "7"}, "key": {"S": "key"}}}} if number % 3 else {}),
    }
    for pk in ("one", "two")
    for number in range(20)
]
NAMES = {"#c": "color", "#n": "number", "#e": "even", "#f": "file", "#b": "bytes"}


@pytest.fixture(scope="module")
def memory() -> MemoryTable:
    table = MemoryTable()
    for item in reversed(ITEMS):
        table.put(item)
    return table


@pytest.fixture(scope="module", autouse=True)
def moto() -> Iterator[None]:
    with a_table():
        for item in ITEMS:
            client.put_item(TableName=TABLE, Item=item)
        yield


def query(**arguments: Any) -> dict[str, Any]:
    values = arguments.pop("values", {}) | {":pk": {"S": arguments.pop("pk", "one")}}
    keys = arguments.pop("keys", None)
    used = f"{arguments.get('FilterExpression', '')} {arguments.get('ProjectionExpression', '')}"
    names = {name: stored for name, stored in NAMES.items() if name in used}
    return {
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk" if keys is None else f"pk = :pk AND {keys}",
        "ExpressionAttributeValues": values,
        **({"ExpressionAttributeNames": names} if names else {}),
        **arguments,
    }


def text(**values: str) -> dict[str, Any]:
    return {f":{name}": {"S": value} for name, value in values.items()}


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(query(), id="a whole partition"),
        pytest.param(query(ScanIndexForward=False), id="the last first"),
        pytest.param(query(pk="none"), id="a partition without items"),
        pytest.param(query(keys="sk BETWEEN :a AND :b", values=text(a="key-03", b="key-07")), id="between"),
        pytest.param(query(keys="sk BETWEEN :a AND :b", values=text(a="key-03a", b="key-06a")), id="between two keys"),
        pytest.param(query(keys="sk < :a", values=text(a="key-03")), id="less"),
        pytest.param(query(keys="sk <= :a", values=text(a="key-03")), id="less or equal"),
        pytest.param(query(keys="sk > :a", values=text(a="key-16")), id="greater"),
        pytest.param(query(keys="sk >= :a", values=text(a="key-16")), id="greater or equal"),
        pytest.param(query(keys="sk = :a", values=text(a="key-16")), id="one key"),
        pytest.param(query(keys="begins_with(sk, :a)", values=text(a="key-1")), id="a prefix"),
        pytest.param(query(Limit=5), id="a limit"),
        pytest.param(query(Limit=5, ScanIndexForward=False), id="a limit from the end"),
        pytest.param(query(Limit=21), id="a limit beyond the partition"),
        pytest.param(query(Limit=5, ExclusiveStartKey={"pk": {"S": "one"}, "sk": {"S": "key-07"}}), id="after a key"),
        pytest.param(
            query(ScanIndexForward=False, ExclusiveStartKey={"pk": {"S": "one"}, "sk": {"S": "key-07"}}),
            id="before a key",
        ),
        pytest.param(query(Select="COUNT"), id="a count"),
        pytest.param(query(FilterExpression="#c = :red", values=text(red="red")), id="a filter"),
        pytest.param(
            query(FilterExpression="#c IN (:red, :blue)", values=text(red="red", blue="blue"), Limit=7),
            id="a filter behind a limit",
        ),
        pytest.param(
            query(FilterExpression="#c = :red", values=text(red="red"), Select="COUNT"), id="a count with a filter"
        ),
        pytest.param(
            query(
                FilterExpression="(#n > :n AND NOT #c <> :red) OR attribute_exists(#e)",
                values={":n": {"N": "90"}} | text(red="red"),
            ),
            id="numbers, negation and existence",
        ),
        pytest.param(
            query(FilterExpression="attribute_not_exists(#e) AND begins_with(#c, :r)", values=text(r="r")),
            id="absence and a prefix",
        ),
        pytest.param(query(ProjectionExpression="sk, #n"), id="a projection"),
        pytest.param(query(ProjectionExpression="sk, #e, #f.#b"), id="a projection into a map"),
    ],
)
def test_a_query_responds_as_motos_does(memory: MemoryTable, request_: dict[str, Any]) -> None:
    rclone: dict[str, Any] = dict(client.query(**request_))

    with memory.answering(client):
        own: dict[str, Any] = dict(client.query(**request_))

    for response in (rclone, own):
        response.pop("ResponseMetadata")
    assert own == rclone


def test_a_limit_that_is_reached_at_the_last_item_does_not_say_so(memory: MemoryTable) -> None:
    """DynamoDB does not look beyond a limit (Developer Guide, "Paginating table query results"). moto does."""
    response = memory.respond("Query", query(Limit=20))

    assert response["Count"] == 20
    assert response["LastEvaluatedKey"] == {"pk": {"S": "one"}, "sk": {"S": "key-19"}}


def test_a_projection_into_a_map_that_is_null_returns_nothing() -> None:
    """moto fails."""
    table = MemoryTable()
    table.put({"pk": {"S": "one"}, "sk": {"S": "key"}, "file": {"NULL": True}})

    response = table.respond("Query", query(ProjectionExpression="sk, #f.#b"))

    assert response["Items"] == [{"sk": {"S": "key"}}]


def test_single_reads_respond_as_motos_do(memory: MemoryTable) -> None:
    key, missing = {"pk": {"S": "one"}, "sk": {"S": "key-07"}}, {"pk": {"S": "one"}, "sk": {"S": "none"}}

    def read() -> list[Any]:
        some = client.get_item(TableName=TABLE, Key=key)
        none = client.get_item(TableName=TABLE, Key=missing)
        batch = client.batch_get_item(RequestItems={TABLE: {"Keys": [key, missing]}})
        return [some.get("Item"), none.get("Item"), batch["Responses"], batch["UnprocessedKeys"]]

    rclone = read()
    with memory.answering(client):
        assert read() == rclone


@pytest.mark.parametrize(
    ("request_", "units"),
    [
        # 20 items of 1,0xx bytes are a bit more than 20 KB.
        pytest.param(query(ConsistentRead=True), 6, id="what was read"),
        pytest.param(query(), 3, id="eventually consistent reads cost half"),
        pytest.param(query(ConsistentRead=True, Select="COUNT"), 6, id="a count reads as much"),
        pytest.param(
            query(ConsistentRead=True, FilterExpression="#c = :no", values=text(no="no")), 6, id="so does a filter"
        ),
        pytest.param(query(ConsistentRead=True, ProjectionExpression="sk"), 6, id="so does a projection"),
        pytest.param(query(ConsistentRead=True, Limit=4), 2, id="a limit reads less"),
        pytest.param(query(ConsistentRead=True, pk="none"), 1, id="nothing costs one unit"),
    ],
)
def test_a_query_costs_what_it_reads(memory: MemoryTable, request_: dict[str, Any], units: float) -> None:
    with memory.answering(client), memory.measured() as cost:
        response = client.query(**request_, ReturnConsumedCapacity="TOTAL")

    assert item_size(ITEMS[0]) * 20 > 5 * 4096
    assert response["ConsumedCapacity"]["CapacityUnits"] == units
    assert (cost.units, cost.calls) == (units, 1)


def test_each_item_of_a_batch_is_rounded_up_by_itself(memory: MemoryTable) -> None:
    keys = [{"pk": {"S": "one"}, "sk": {"S": f"key-{number:02}"}} for number in (1, 2, 99)]
    with memory.answering(client), memory.measured() as cost:
        response = client.batch_get_item(
            RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}}, ReturnConsumedCapacity="TOTAL"
        )

    assert response["ConsumedCapacity"][0]["CapacityUnits"] == cost.units == 3
    assert cost.items == 2


def test_a_query_reads_a_page_of_limited_size() -> None:
    table = MemoryTable(page_bytes=4096)
    for item in ITEMS:
        table.put(item)
    found: list[str] = []
    start: dict[str, Any] = {}
    with table.answering(client), table.measured() as cost:
        while True:
            page = client.query(**query(ConsistentRead=True, **start))
            found += [item["sk"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    assert found == [f"key-{number:02}" for number in range(20)]
    # Three items of a bit more than 1 KB are in each page.
    assert (cost.calls, cost.units) == (7, 7)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("size(#c) > :red", id="a function that is not supported"),
        pytest.param("#c = :red AND", id="an end"),
        pytest.param("#c = :red :red", id="a word too many"),
        pytest.param("#c LIKE :red", id="no comparison"),
        pytest.param("#c = :unknown", id="no value"),
        pytest.param("#c = :red + :red", id="no token"),
        pytest.param("(#c = :red", id="an open parenthesis"),
    ],
)
def test_a_condition_that_is_not_understood_is_an_error(memory: MemoryTable, expression: str) -> None:
    with pytest.raises(ExpressionError):
        memory.respond("Query", query(FilterExpression=expression, values=text(red="red")))


@pytest.mark.parametrize("keys", ["NOT sk = :a", "sk <> :a", "sk IN (:a)", "color = :a"])
def test_a_key_condition_selects_one_range(memory: MemoryTable, keys: str) -> None:
    with pytest.raises(ExpressionError):
        memory.respond("Query", query(keys=keys, values=text(a="a")))
