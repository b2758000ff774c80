"""The table of template.yaml in moto's DynamoDB, and faults between it and the adapters."""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws
from moto.core import serialize
from moto.core.models import DEFAULT_ACCOUNT_ID, patch_client
from moto.dynamodb import models
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from recordings.adapters.dynamodb.connection import client, connection
from recordings.adapters.dynamodb.layout import Layout, forget_layout, store_layout
from recordings.adapters.dynamodb.settings import TABLE
from tests.support.template import resources


@contextmanager
def a_table(layout: Layout | None = None) -> Iterator[None]:
    """Create an empty table for the block: a new one, or one whose layout has this state."""
    forget_layout()
    with mock_aws(), _quick_transactions(), _quick_responses():
        # A client that was made before moto was imported does not know moto.
        patch_client(client)
        (table,) = resources("AWS::DynamoDB::Table").values()
        client.create_table(
            TableName=TABLE,
            KeySchema=table["KeySchema"],
            AttributeDefinitions=table["AttributeDefinitions"],
            BillingMode=table["BillingMode"],
        )
        if layout is not None:
            store_layout(layout, expected=None)
        try:
            yield
        finally:
            forget_layout()


@contextmanager
def _quick_transactions() -> Iterator[None]:
    """Let moto copy only the items that a transaction writes. It copies the whole table, once for each action."""
    write = models.DynamoDBBackend.transact_write_items

    def write_quickly(backend: models.DynamoDBBackend, actions: list[dict[str, Any]]) -> None:
        written = [next(iter(action.values())) for action in actions]
        named = [one.get("Key") or one["Item"] for one in written]
        keys = [(DynamoType(one["pk"]), DynamoType(one["sk"])) for one in named]
        copies: dict[int, Table] = {}

        def deepcopy(thing: Any) -> Any:
            if not isinstance(thing, Table):
                return copy.deepcopy(thing)
            if id(thing) not in copies:
                copies[id(thing)] = _copy_of(thing, keys)
            return copies[id(thing)]

        with patch.object(models, "copy", SimpleNamespace(deepcopy=deepcopy)):
            write(backend, actions)

    with patch.object(models.DynamoDBBackend, "transact_write_items", write_quickly):
        yield


def _copy_of(table: Table, keys: list[tuple[DynamoType, DynamoType]]) -> Table:
    """A table that shares every item with this one, but for the items of these keys."""
    copied = copy.copy(table)
    copied.items = copy.copy(table.items)
    for pk in {pk for pk, _ in keys}:
        if pk in table.items:
            copied.items[pk] = copy.copy(table.items[pk])
    for pk, sk in keys:
        if pk in table.items and sk in table.items[pk]:
            copied.items[pk][sk] = copy.deepcopy(table.items[pk][sk])
    return copied


@contextmanager
def _quick_responses() -> Iterator[None]:
    """Return items as moto holds them. It looks up ten types under five names for every value of every item.

    They are in DynamoDB's JSON already.
    """
    serializer = serialize.BaseJSONSerializer
    before = serializer._serialize_type_structure

    def whole(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and isinstance(value, dict):
            serialized[shape.serialization.get("name", key)] = value
        else:
            before(self, serialized, value, shape, key)

    with patch.object(serializer, "_serialize_type_structure", whole):
        yield


def stored() -> Any:
    """moto's own table, for what takes too long through the client."""
    (backend,) = (one for one in dynamodb_backends[DEFAULT_ACCOUNT_ID].values() if TABLE in one.tables)
    return backend


def empty() -> None:
    """Remove all items."""
    stored().tables[TABLE].items.clear()


def items() -> Iterator[dict[str, Any]]:
    """Iterate over the items of the table, in DynamoDB's format."""
    for page in client.get_paginator("scan").paginate(TableName=TABLE):
        yield from page["Items"]


def plain_items() -> Iterator[dict[str, Any]]:
    """Iterate over the items of the table, in Python's types."""
    plain = TypeDeserializer().deserialize
    for item in items():
        yield {name: plain(value) for name, value in item.items()}


@contextmanager
def atomic() -> Iterator[None]:
    """Make requests atomic within the block, as DynamoDB's are. moto reads and writes in two steps."""
    lock, send = threading.Lock(), connection._make_api_call

    def whole(operation: str, arguments: Any) -> Any:
        with lock:
            return send(operation, arguments)

    with _sent_by(whole):
        yield


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Record the operations that are sent within the block."""
    sent: list[str] = []
    send = connection._make_api_call

    def record(operation: str, arguments: Any) -> Any:
        sent.append(operation)
        return send(operation, arguments)

    with _sent_by(record):
        yield sent


@contextmanager
def interrupted(operation: str, meanwhile: Callable[[], object], *, at: int | None = 1) -> Iterator[None]:
    """Call `meanwhile` before a request of an operation is sent: the first, or number `at`; None: each."""
    sent, send = 0, connection._make_api_call

    def interrupt(name: str, arguments: Any) -> Any:
        nonlocal sent
        if name == operation:
            sent += 1
            if at in (sent, None):
                meanwhile()
        return send(name, arguments)

    with _sent_by(interrupt):
        yield


@contextmanager
def watched(watch: Callable[[str, Any, Callable[[], Any]], Any]) -> Iterator[None]:
    """Let `watch` send every request within the block: it gets the operation, its arguments and what sends it.

    What `watch` does with the table itself is not watched.
    """
    send, busy = connection._make_api_call, threading.local()

    def watching(operation: str, arguments: Any) -> Any:
        if getattr(busy, "now", False):
            return send(operation, arguments)
        busy.now = True
        try:
            return watch(operation, arguments, lambda: send(operation, arguments))
        finally:
            busy.now = False

    with _sent_by(watching):
        yield


@contextmanager
def _sent_by(send: Callable[[str, Any], Any]) -> Iterator[None]:
    before = connection._make_api_call
    vars(connection)["_make_api_call"] = send
    try:
        yield
    finally:
        vars(connection)["_make_api_call"] = before
