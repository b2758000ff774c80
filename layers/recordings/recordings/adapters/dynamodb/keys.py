"""The key strings of the table, which stay those of the first release."""

from typing import Final
from urllib.parse import quote

LINK: Final = "LINK"
# DynamoDB Developer Guide, "Quotas": partition keys and sort keys.
MAX_PARTITION_KEY_BYTES: Final = 2048
MAX_SORT_KEY_BYTES: Final = 1024


def partition(tenant_id: str, name: str) -> str:
    """Return the partition key of a tenant's items of one kind.

    The tenant's id is percent-encoded, so that no id reaches into another tenant's keys.
    """
    return f"T#{quote(tenant_id, safe='')}#{name}"


def is_partition_key(text: str) -> bool:
    """Return whether DynamoDB accepts a text as a partition key; it rejects every request with another one."""
    return _fits(text, MAX_PARTITION_KEY_BYTES)


def is_sort_key(text: str) -> bool:
    """Return whether DynamoDB accepts a text as a sort key."""
    return _fits(text, MAX_SORT_KEY_BYTES)


def _fits(text: str, most: int) -> bool:
    try:
        return 0 < len(text.encode()) <= most
    except UnicodeEncodeError:
        # A lone surrogate, which JSON can hold and UTF-8 cannot.
        return False
