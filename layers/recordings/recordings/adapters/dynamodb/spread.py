"""Spreads the counters of a busy tenant over several items, its parts.

DynamoDB rejects a transaction while another one writes one of its items. Counters add up, so any transaction may add to
any part. A quiet tenant has one part only, so its readers read one item for each bucket.
"""

import random
from typing import Final

from recordings.adapters.aws.age import Age
from recordings.adapters.dynamodb.listing_items import MAX_PARTS

HALVED_AFTER_SECONDS: Final = 60


class Spread:
    """How many parts each tenant's counters have at the moment, as far as this process knows."""

    def __init__(self, max_parts: int = MAX_PARTS) -> None:
        self._max_parts = max_parts
        # The number of parts, and when the last conflict was.
        self._widths: dict[str, tuple[int, Age]] = {}

    def pick_part(self, tenant_id: str) -> int:
        """Return the part that the next transaction adds to."""
        return random.randrange(self.width(tenant_id))

    def width(self, tenant_id: str) -> int:
        """Return the number of parts. Every minute without a conflict halves it."""
        found = self._widths.get(tenant_id)
        if found is None:
            return 1
        width, last = found
        width >>= int(last.seconds() // HALVED_AFTER_SECONDS)
        if width <= 1:
            self._widths.pop(tenant_id, None)
        return max(1, width)

    def widen(self, tenant_id: str) -> None:
        """Note a conflict: double the number of parts."""
        self._widths[tenant_id] = min(self._max_parts, 2 * self.width(tenant_id)), Age.now()


# Of this process.
SPREAD: Final = Spread()
