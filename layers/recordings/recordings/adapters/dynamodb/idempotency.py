"""Reservations of idempotency keys, and the stored responses to repeated requests."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from recordings.adapters.dynamodb.items import IdempotencyItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.writes import delete_item, put_item, update_item
from recordings.domain.errors import IdempotencyKeyReused, RequestInProgress, Throttled
from recordings.request_context import cleanup

IDEMPOTENCY_RESERVATION_TTL: Final = timedelta(seconds=60)
IDEMPOTENCY_RESPONSE_TTL: Final = timedelta(hours=24)


class _Taken(Exception):
    """Another reservation or a stored response holds the key."""

    def __init__(self, held: IdempotencyItem | None) -> None:
        super().__init__()
        self.held = held


class DynamoIdempotencyKeys:
    """Implements ports.repositories.IdempotencyKeys."""

    def reserve(self, tenant_id: str, key: str, *, fingerprint: str, now: datetime) -> Mapping[str, Any] | None:
        nonce = secrets.token_hex(8)
        item = _item(tenant_id, key)
        item.fingerprint, item.nonce, item.expires_at = fingerprint, nonce, now + IDEMPOTENCY_RESERVATION_TTL
        free = IdempotencyItem.pk.does_not_exist() | (IdempotencyItem.expires_at <= now)
        try:
            with released_if_unknown(lambda: self._release(tenant_id, key, nonce)):
                # The nonce is this call's own: botocore repeats a write whose response was lost.
                put_item(item, free | (IdempotencyItem.nonce == nonce), otherwise=_Taken)
        except _Taken as taken:
            held = taken.held
            if held is None or held.fingerprint != fingerprint:
                raise IdempotencyKeyReused("this Idempotency-Key was used for another request") from taken.__cause__
            if held.response is None:
                raise RequestInProgress(
                    "the first request with this Idempotency-Key is still running"
                ) from taken.__cause__
            response: Mapping[str, Any] = json.loads(held.response)
            return response
        return None

    @cleanup
    def _release(self, tenant_id: str, key: str, nonce: str) -> None:
        """Delete the reservation if this call made it."""
        try:
            delete_item(_item(tenant_id, key), IdempotencyItem.nonce == nonce, otherwise=_Taken)
        except _Taken:
            return

    @cleanup
    def store_response(self, tenant_id: str, key: str, *, response: Mapping[str, Any], now: datetime) -> None:
        expires = now + IDEMPOTENCY_RESPONSE_TTL
        update_item(
            _item(tenant_id, key),
            [IdempotencyItem.response.set(json.dumps(response)), IdempotencyItem.expires_at.set(expires)],
        )

    @cleanup
    def release(self, tenant_id: str, key: str) -> None:
        delete_item(_item(tenant_id, key))


def _item(tenant_id: str, key: str) -> IdempotencyItem:
    return IdempotencyItem(partition(tenant_id, "IDEMPOTENCY"), key)


@contextmanager
def released_if_unknown(release: Callable[[], None]) -> Iterator[None]:
    """Call `release` if the outcome of the block is unknown: it may hold what no caller will release."""
    try:
        yield
    except Throttled:
        try:
            release()
        except Throttled:
            # DynamoDB still does not respond. A lock and a reservation expire after a minute.
            pass
        raise
