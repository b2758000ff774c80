"""The table of template.yaml in moto's DynamoDB, and faults between it and the adapters."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto import mock_aws
from moto.core.models import patch_client

from recordings.adapters.dynamodb.connection import client, connection
from recordings.adapters.dynamodb.layout import Layout, forget_layout, store_layout
from recordings.adapters.dynamodb.settings import TABLE
from tests.support.template import resources


@contextmanager
def a_table(layout: Layout | None = None) -> Iterator[None]:
    """Create an empty table for the block: a new one, or one whose layout has this state."""
    forget_layout()
    with mock_aws():
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


def items() -> Iterator[dict[str, Any]]:
    """Iterate over the items of the table, in DynamoDB's format."""
    for page in client.get_paginator("scan").paginate(TableName=TABLE):
        yield from page["Items"]


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
def interrupted(operation: str, meanwhile: Callable[[], object]) -> Iterator[None]:
    """Call `meanwhile` before the first request of an operation is sent."""
    waiting, send = [meanwhile], connection._make_api_call

    def interrupt(name: str, arguments: Any) -> Any:
        if name == operation and waiting:
            waiting.pop()()
        return send(name, arguments)

    with _sent_by(interrupt):
        yield


@contextmanager
def _sent_by(send: Callable[[str, Any], Any]) -> Iterator[None]:
    before = connection._make_api_call
    vars(connection)["_make_api_call"] = send
    try:
        yield
    finally:
        vars(connection)["_make_api_call"] = before
