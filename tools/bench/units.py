"""DynamoDB's rule for capacity units, from the size of the items.

Emulators get it wrong, each in its own way: moto counts every read as one unit. So benchmarks compute units from what
is stored. Sources, all in the DynamoDB Developer Guide: "DynamoDB item sizes and formats", "DynamoDB read and write
operations", "Amazon DynamoDB Transactions: How it works".
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

READ_UNIT_BYTES: Final = 4096
WRITE_UNIT_BYTES: Final = 1024
# Every item needs this much for indexing. Storage is billed with it, capacity is not.
STORAGE_OVERHEAD_BYTES: Final = 100

type StoredItem = Mapping[str, Mapping[str, Any]]


def item_size(item: StoredItem) -> int:
    """Return the bytes of an item in DynamoDB's format: its names and its values."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """Return the bytes of one value, without its name. Raises ValueError for an unknown type."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return number_size(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_size({kind[0]: one}) for one in content)
        case "L":
            return 3 + sum(1 + value_size(one) for one in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_size(one) for name, one in content.items())
        case _:
            raise ValueError(f"{kind} is not a type of DynamoDB")


def number_size(number: str) -> int:
    """Return the bytes of a number: one for each two significant digits, one more, and one for a minus sign."""
    mantissa = number.lower().partition("e")[0].lstrip("+-")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction.rstrip("0")).lstrip("0").rstrip("0")
    return math.ceil(len(digits) / 2) + 1 + number.startswith("-")


def read_units(sizes: Iterable[int], *, consistent: bool, transaction: bool = False) -> float:
    """Return the read units of one item, or of one Query or Scan.

    `sizes` are the items that were read, before a filter and a projection. A request that reads nothing costs as much
    as 4 KB. BatchGetItem and TransactGetItems cost the sum over their items, each rounded up by itself.
    """
    whole = max(1, math.ceil(sum(sizes) / READ_UNIT_BYTES))
    return whole * (2 if transaction else 1 if consistent else 0.5)


def write_units(old: StoredItem | None, new: StoredItem | None, *, transaction: bool = False) -> int:
    """Return the write units of one item: of the larger of what it was and what it became; None: no such item.

    A write whose condition failed costs the same, `new` being what is there. So does a condition check of a
    transaction, which is billed as a write.
    """
    largest = max(item_size(one) if one is not None else 0 for one in (old, new))
    return max(1, math.ceil(largest / WRITE_UNIT_BYTES)) * (2 if transaction else 1)
