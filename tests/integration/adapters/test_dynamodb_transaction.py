"""Transactions and single writes of the table: which condition decides, what is repeated, and under which token."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.stub import Stubber

from recordings.adapters.dynamodb.capacity import measured_capacity
from recordings.adapters.dynamodb.connection import Item, client, connection
from recordings.adapters.dynamodb.items import FindingItem, PartChecksumItem, TenantItem
from recordings.adapters.dynamodb.listing_items import MonthTallyItem, YearTallyItem, additions
from recordings.adapters.dynamodb.queries import get_item, get_items, item_key, query_items
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.spread import Spread
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.adapters.dynamodb.writes import MAX_ATTEMPTS, delete_item, put_item, put_items, update_item
from recordings.domain.errors import ConcurrentUpdate, InfrastructureError, Throttled
from tests.support.builders import NOON
from tests.support.faults import failing, losing, no_pauses
from tests.support.table import a_table, items, recorded

__all__ = ["no_pauses"]

pytestmark = pytest.mark.usefixtures("no_pauses", "table")


class Failed(Exception):
    def __init__(self, place: str, held: Item | None) -> None:
        super().__init__(place, held.sk if held is not None else None)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with a_table():
        yield


def a_part(sk: str, crc32: int = 1) -> PartChecksumItem:
    return PartChecksumItem("PARTS#u", sk, crc32=crc32)


def failed(place: str) -> Callable[[Item | None], Exception]:
    return lambda held: Failed(place, held)


NINE = PartChecksumItem.crc32 == 9
ACTIONS: dict[str, Callable[[Transaction], None]] = {
    "update": lambda it: it.update(a_part("1"), [PartChecksumItem.crc32.add(1)], NINE, otherwise=failed("update")),
    "save": lambda it: it.save(a_part("2"), NINE, otherwise=failed("save")),
    "delete": lambda it: it.delete(a_part("3"), NINE, otherwise=failed("delete")),
    "require": lambda it: it.require(a_part("4"), NINE, otherwise=failed("require")),
}


@pytest.mark.parametrize("first", ACTIONS)
def test_the_first_failed_condition_in_the_order_of_the_code_decides(first: str) -> None:
    for sk in "1234":
        put_item(a_part(sk))
    transaction = Transaction()
    for name in sorted(ACTIONS, key=lambda name: name != first):
        ACTIONS[name](transaction)
    with pytest.raises(Failed) as reported:
        transaction.commit()
    assert reported.value.args == (first, str([*ACTIONS].index(first) + 1))


def test_a_failed_condition_on_a_missing_item_passes_none_and_writes_nothing() -> None:
    transaction = Transaction()
    transaction.save(a_part("5"), PartChecksumItem.pk.does_not_exist())
    transaction.require(a_part("6"), PartChecksumItem.pk.exists(), otherwise=failed("require"))
    with pytest.raises(Failed) as reported:
        transaction.commit()
    assert reported.value.args == ("require", None)
    assert [*items()] == []


def test_a_block_that_raises_writes_nothing() -> None:
    def stumble() -> None:
        with Transaction() as transaction:
            transaction.save(a_part("1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert [*items()] == []


def test_a_transaction_writes_all_of_its_actions_and_their_kind() -> None:
    put_item(a_part("3"))
    with recorded() as sent, Transaction() as transaction:
        transaction.update(TenantItem("TENANTS", "a"), [TenantItem.tenant_id.set("a")])
        transaction.save(a_part("2"))
        transaction.delete(a_part("3"))
    assert sent == ["TransactWriteItems"]
    found = {(item["pk"]["S"], item["sk"]["S"]): item["kind"]["S"] for item in items()}
    assert found == {("TENANTS", "a"): "tenant", ("PARTS#u", "2"): "part_checksum"}


def canceled(*codes: str) -> ClientError:
    reported: Any = {"CancellationReasons": [{"Code": code} for code in codes]}
    response: Any = {"Error": {"Code": "TransactionCanceledException"}, **reported}
    return ClientError(response, "TransactWriteItems")


def test_a_conflict_is_sent_again_as_a_new_request_and_an_unknown_outcome_as_the_same() -> None:
    tokens: list[str] = []
    in_progress = ClientError({"Error": {"Code": "TransactionInProgressException"}}, "TransactWriteItems")
    faults: list[Exception | None] = [in_progress, canceled("None", "TransactionConflict"), None]

    def fail(request: Any, **_: Any) -> None:
        tokens.append(json.loads(request.body)["ClientRequestToken"])
        fault = faults.pop(0)
        if fault is not None:
            raise fault

    with failing(client, "TransactWriteItems", fail), Transaction() as transaction:
        transaction.save(a_part("1"))
    first, second, third = tokens
    assert first == second != third
    assert get_item(PartChecksumItem, "PARTS#u", "1") is not None


def test_a_conflict_on_a_counter_is_avoided_by_another_part_of_all_counters() -> None:
    written: list[tuple[str, ...]] = []
    # The condition's item, the tenant's two counters, a room's counter.
    faults = [
        canceled("None", "TransactionConflict", "None", "None"),
        canceled("TransactionConflict", "None", "None", "None"),
        canceled("None", "None", "TransactionConflict", "None"),
        None,
    ]
    spread = Spread()

    def fail(request: Any, **_: Any) -> None:
        actions = json.loads(request.body)["TransactItems"]
        written.append(tuple(action["Update"]["Key"]["sk"]["S"] for action in actions[1:]))
        fault = faults.pop(0)
        if fault is not None:
            raise fault

    with failing(client, "TransactWriteItems", fail), Transaction(spread) as transaction:
        transaction.save(a_part("1"))
        transaction.update_part("a", partial(YearTallyItem.at, "a", None, "2026"), additions({"01d": 1}))
        transaction.update_part("a", partial(MonthTallyItem.at, "a", None, "2026-01"), additions({"06d": 1}))
        transaction.update(YearTallyItem.at("a", "r", "2026"), additions({"01d": 1}))
    # Conflicts on counters alone double the parts.
    assert spread.width("a") == 4
    assert written[0] == ("2026#00", "2026-01#00", "2026#00")
    for year, month, room in written:
        assert year.removeprefix("2026#") == month.removeprefix("2026-01#") < "04"
        assert room == "2026#00"
    found = [*query_items(YearTallyItem, "T#a#YEARS")]
    assert [(item.sk, item.counters) for item in found] == [(written[-1][0], {"01d": 1})]


def test_a_lost_response_is_asked_for_under_the_same_token() -> None:
    with losing(client, "TransactWriteItems", times=9) as sent, pytest.raises(Throttled), Transaction() as transaction:
        transaction.save(a_part("1"))
    assert len(sent) == 3
    assert len({request.body.split(b"ClientRequestToken")[1][:40] for request in sent}) == 1


@pytest.mark.parametrize("code", ["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"])
def test_a_permanent_cancellation_is_not_repeated(code: str) -> None:
    sent: list[object] = []

    def cancel(**_: Any) -> None:
        sent.append(None)
        raise canceled("None", code)

    with (
        failing(client, "TransactWriteItems", cancel),
        pytest.raises(InfrastructureError, match=code),
        Transaction() as transaction,
    ):
        transaction.save(a_part("1"))
    assert len(sent) == 1


# ---------------------------------------------------------------- one item


def test_a_single_write_raises_the_error_of_its_condition_with_the_item_as_it_is() -> None:
    put_item(a_part("1", crc32=5))
    writing: list[Callable[[], object]] = [
        lambda: update_item(a_part("1"), [PartChecksumItem.crc32.set(9)], NINE, otherwise=failed("one")),
        lambda: put_item(a_part("1"), NINE, otherwise=failed("one")),
        lambda: delete_item(a_part("1"), NINE, otherwise=failed("one")),
    ]
    for write in writing:
        with pytest.raises(Failed) as reported:
            write()
        assert reported.value.args == ("one", "1")
    with pytest.raises(ConcurrentUpdate):
        delete_item(a_part("2"), NINE)
    stored = get_item(PartChecksumItem, "PARTS#u", "1")
    assert stored is not None
    assert stored.crc32 == 5


def test_an_update_returns_the_old_item_on_request() -> None:
    actions = [PartChecksumItem.crc32.set(2)]
    assert update_item(a_part("1"), actions, returns_old=True) is None
    before = update_item(a_part("1"), [PartChecksumItem.crc32.set(3)], returns_old=True)
    assert before is not None
    assert before.crc32 == 2
    assert update_item(a_part("1"), actions) is None


def test_a_single_write_is_repeated_until_the_transaction_has_ended() -> None:
    faults = ["TransactionConflictException"] * 3

    def conflict(**_: Any) -> None:
        if faults:
            raise ClientError({"Error": {"Code": faults.pop()}}, "PutItem")

    with failing(client, "PutItem", conflict):
        put_item(a_part("1"))
    assert get_item(PartChecksumItem, "PARTS#u", "1") is not None


@pytest.mark.parametrize("code", ["TransactionConflictException", "ThrottlingException"])
def test_a_single_write_that_stays_busy_is_throttled(code: str) -> None:
    def conflict(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code}}, "PutItem")

    with failing(client, "PutItem", conflict), pytest.raises(Throttled):
        put_item(a_part("1"))


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        pytest.param(ReadTimeoutError(endpoint_url="https://dynamodb"), Throttled, id="no response"),
        pytest.param(
            ClientError({"Error": {"Code": "Unheard"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "Query"),  # type: ignore[typeddict-item]
            Throttled,
            id="a server's status",
        ),
        pytest.param(ClientError({"Error": {"Code": "AccessDeniedException"}}, "Query"), InfrastructureError, id="IAM"),
    ],
)
def test_an_error_keeps_its_cause_and_status_whichever_way_it_comes(fault: Exception, wanted: type[Exception]) -> None:
    def fail(**_: Any) -> None:
        raise fault

    reads: list[Callable[[], object]] = [
        lambda: get_item(TenantItem, "TENANTS", "a"),
        lambda: [*query_items(TenantItem, "TENANTS")],
    ]
    for read in reads:
        with failing(client, "*", fail), pytest.raises(wanted) as reported:
            read()
        assert reported.value.__cause__ is fault


# ---------------------------------------------------------------- reads, and what they cost


def test_a_partition_is_read_over_pages_in_both_directions() -> None:
    for number in range(5):
        put_item(FindingItem("T#a#SUSPECTS", str(number), name=str(number), at=NOON))
    read = [item.sk for item in query_items(FindingItem, "T#a#SUSPECTS", page_size=2)]
    assert read == ["0", "1", "2", "3", "4"]
    newest = query_items(FindingItem, "T#a#SUSPECTS", newest_first=True, sort_key=FindingItem.sk.between("1", "3"))
    assert [item.sk for item in newest] == ["3", "2", "1"]
    assert [item.sk for item in query_items(FindingItem, "T#a#SUSPECTS", after="2")] == ["3", "4"]
    assert [item.sk for item in query_items(FindingItem, "T#a#SUSPECTS", only=FindingItem.name > "3")] == ["4"]


def of_batch(*keys: str) -> dict[str, Any]:
    return {TABLE: {"Keys": [item_key("PARTS#u", sk) for sk in keys], "ConsistentRead": True}}


def test_unprocessed_keys_are_requested_again() -> None:
    stored = {sk: a_part(sk).serialize() for sk in "123"}
    with Stubber(client) as stub:
        for asked, processed in (("123", "2"), ("13", "31")):
            left = [sk for sk in asked if sk not in processed]
            response = {
                "Responses": {TABLE: [stored[sk] for sk in processed]},
                "UnprocessedKeys": of_batch(*left) if left else {},
            }
            request = {"RequestItems": of_batch(*asked), "ReturnConsumedCapacity": "TOTAL"}
            stub.add_response("batch_get_item", response, request)
        found = get_items(PartChecksumItem, [("PARTS#u", sk) for sk in "123"])
        stub.assert_no_pending_responses()
    assert [item.sk for item in found] == ["2", "3", "1"]


def test_a_table_that_never_processes_a_key_is_busy() -> None:
    with Stubber(client) as stub:
        for _ in range(MAX_ATTEMPTS):
            stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": of_batch("1")})
        with pytest.raises(Throttled):
            get_items(PartChecksumItem, [("PARTS#u", "1")])
        stub.assert_no_pending_responses()


def of_puts(*keys: str) -> dict[str, Any]:
    return {TABLE: [{"PutRequest": {"Item": a_part(sk).serialize()}} for sk in keys]}


def test_unprocessed_items_are_written_again() -> None:
    with Stubber(client) as stub:
        for asked, left in (("123", "13"), ("13", "3"), ("3", "")):
            request = {"RequestItems": of_puts(*asked), "ReturnConsumedCapacity": "TOTAL"}
            stub.add_response("batch_write_item", {"UnprocessedItems": of_puts(*left) if left else {}}, request)
        put_items([a_part(sk) for sk in "123"])
        stub.assert_no_pending_responses()


def test_a_table_that_never_writes_an_item_is_busy() -> None:
    with Stubber(client) as stub:
        for _ in range(MAX_ATTEMPTS):
            stub.add_response("batch_write_item", {"UnprocessedItems": of_puts("1")})
        with pytest.raises(Throttled):
            put_items([a_part("1")])
        stub.assert_no_pending_responses()


def test_a_key_that_dynamodb_would_reject_is_no_item() -> None:
    with recorded() as sent:
        for sk in ("", "x" * 1025, "\ud800"):
            assert get_item(TenantItem, "TENANTS", sk) is None
        assert get_item(TenantItem, "x" * 2049, "a") is None
    assert sent == []


def test_consumed_capacity_is_measured() -> None:
    with measured_capacity() as single:
        put_item(a_part("1"))
    assert (single.requests, single.units) == (1, 1)
    # moto does not say what a transaction consumes.
    transaction = Transaction()
    transaction.save(a_part("2"))
    with measured_capacity() as together, Stubber(client) as stub:
        stub.add_response("transact_write_items", {"ConsumedCapacity": [{"TableName": TABLE, "CapacityUnits": 4}]})
        transaction.commit()
    assert (together.requests, together.units) == (1, 4)


def test_all_items_share_one_connection_with_short_time_outs() -> None:
    classes: list[type[Item]] = [Item, *Item.__subclasses__()]
    assert len(classes) > 5
    assert {id(cls._get_connection().connection) for cls in classes} == {id(connection)}
    made: object = connection.client
    assert made is client
    config: Any = client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (2, 5, 3)
