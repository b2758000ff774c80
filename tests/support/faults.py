"""Faults between botocore and a service that moto plays: requests that are never answered, answers that get lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber


def unanswered(**_: Any) -> None:
    """Instead of a request: nobody answers. Nothing is done."""
    raise ReadTimeoutError(endpoint_url="https://service")


@contextmanager
def failing(client: Any, operation: str, fault: Any = unanswered) -> Iterator[None]:
    """Every call of an operation ("*": of all) fails by `fault`, a handler of botocore's `before-send`."""
    with _handler(client, operation, fault):
        yield


@contextmanager
def losing(client: Any, operation: str, times: int = 1) -> Iterator[list[Any]]:
    """The first `times` calls of an operation are carried out, and their answers get lost; gives all requests."""
    sent: list[Any] = []

    def lose(event_name: str, request: Any, **_: Any) -> None:
        sent.append(request)
        if len(sent) <= times:
            botocore_stubber(event_name, request)
            raise ReadTimeoutError(endpoint_url=request.url)

    with _handler(client, operation, lose):
        yield sent


@contextmanager
def _handler(client: Any, operation: str, handle: Any) -> Iterator[None]:
    """Before moto's own handler, which carries out what is asked."""
    events, service = client.meta.events, client.meta.service_model.service_id.hyphenize()
    event = f"before-send.{service}" + ("" if operation == "*" else f".{operation}")
    events.register_first(event, handle)
    try:
        yield
    finally:
        events.unregister(event, handle)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore repeats at once, and however often a client has met a fault before."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    monkeypatch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda quota, capacity_amount: True)
