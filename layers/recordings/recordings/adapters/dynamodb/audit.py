"""Tenants with their last audits, and findings that wait for confirmation."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from recordings.adapters.dynamodb.items import FindingItem, TenantItem
from recordings.adapters.dynamodb.keys import is_sort_key, partition
from recordings.adapters.dynamodb.queries import query_items
from recordings.adapters.dynamodb.writes import delete_item, put_item, update_item

TENANTS: Final = "TENANTS"


class DynamoTenants:
    """Implements ports.repositories.Tenants."""

    def get_all(self) -> Mapping[str, datetime | None]:
        return {item.tenant_id: item.audited_at for item in query_items(TenantItem, TENANTS)}

    def note_audit(self, tenant_id: str, *, at: datetime) -> None:
        update_item(tenant_item(tenant_id), [TenantItem.tenant_id.set(tenant_id), TenantItem.audited_at.set(at)])


class DynamoOpenFindings:
    """Implements ports.repositories.OpenFindings."""

    def get_all(self, tenant_id: str) -> Mapping[str, datetime]:
        return {item.name: item.at for item in query_items(FindingItem, partition(tenant_id, "SUSPECTS"))}

    def add(self, tenant_id: str, names: Sequence[str], *, at: datetime) -> None:
        for name in names:
            put_item(FindingItem(partition(tenant_id, "SUSPECTS"), _digest(name), name=name, at=at))

    def remove(self, tenant_id: str, names: Sequence[str]) -> None:
        for name in names:
            delete_item(FindingItem(partition(tenant_id, "SUSPECTS"), _digest(name)))


def tenant_item(tenant_id: str) -> TenantItem:
    """Return an item with the tenant's key."""
    name = quote(tenant_id, safe="")
    return TenantItem(TENANTS, name if is_sort_key(name) else _digest(name))


def _digest(name: str) -> str:
    # The key of a file can be longer than a sort key.
    return hashlib.sha256(name.encode()).hexdigest()
