"""Which items the lists of recordings are written to and read from: the state of the table's layout.

The state changes while functions run, so every process reads it again after a minute. Between two changes of it pass at
least two such times, so processes are one state apart at most.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from recordings.adapters.aws.age import Age
from recordings.adapters.dynamodb.audit import TENANTS
from recordings.adapters.dynamodb.items import TenantItem
from recordings.adapters.dynamodb.listing_items import LayoutItem
from recordings.adapters.dynamodb.queries import get_item, query_items
from recordings.adapters.dynamodb.writes import put_item
from recordings.domain.errors import ConcurrentUpdate

LAYOUT_TTL_SECONDS: Final = 60
LAYOUT_KEY: Final = ("LAYOUT", "STATE")


class Layout(StrEnum):
    """The states, in the order in which a migration goes through them.

    `days` has day tallies and room lists only. A table that was in use before there were states has it.
    """

    DAYS = "days"
    BOTH = "both"
    ROWS_WITH_DAYS = "rows_with_days"
    ROWS = "rows"

    @property
    def writes_days(self) -> bool:
        """Whether day tallies and room lists are maintained."""
        return self is not Layout.ROWS

    @property
    def writes_rows(self) -> bool:
        """Whether rows and tallies by calendar are maintained."""
        return self is not Layout.DAYS

    @property
    def reads_rows(self) -> bool:
        """Whether pages are read from rows and tallies by calendar."""
        return self in (Layout.ROWS_WITH_DAYS, Layout.ROWS)


# What a table without tenants is.
NEW_TABLE: Final = Layout.ROWS

# The last state that was read, and when.
_cached: tuple[Layout, Age] | None = None


def current_layout() -> Layout:
    """Return the state that this process works by: read at most LAYOUT_TTL_SECONDS ago.

    Raises:
        Throttled, InfrastructureError
    """
    global _cached
    if _cached is not None and _cached[1].seconds() < LAYOUT_TTL_SECONDS:
        return _cached[0]
    # Before the call: the state may change while the response is under way.
    read_at = Age.now()
    stored = find_stored_layout()
    if stored is None and not _has_tenants():
        # Not cached: an earlier version of the code may add the first tenant, and then the table has its layout.
        return NEW_TABLE
    layout = stored or Layout.DAYS
    _cached = layout, read_at
    return layout


def refreshed_layout() -> Layout:
    """Return the state that the table has now."""
    forget_layout()
    return current_layout()


def find_stored_layout() -> Layout | None:
    """Read the stored state; None if no state was ever stored."""
    item = get_item(LayoutItem, *LAYOUT_KEY)
    return Layout(item.state) if item is not None else None


def store_layout(layout: Layout, *, expected: Layout | None) -> None:
    """Store a state in place of the one that is expected (None: none is stored).

    Raises:
        ConcurrentUpdate: another state is stored
        Throttled, InfrastructureError
    """
    now = datetime.now(UTC).replace(microsecond=0)
    item = LayoutItem(*LAYOUT_KEY, state=layout.value, since=now)
    unchanged = LayoutItem.pk.does_not_exist() if expected is None else LayoutItem.state == expected.value
    # botocore repeats a plain write whose response was lost.
    put_item(item, unchanged | ((LayoutItem.state == item.state) & (LayoutItem.since == now)))
    forget_layout()


def establish_layout() -> None:
    """Store the state of a new table, before it has its first tenant. Do nothing if the table has either."""
    if find_stored_layout() is not None or _has_tenants():
        return
    try:
        store_layout(NEW_TABLE, expected=None)
    except ConcurrentUpdate:
        # Another call adds the first tenant at the same time.
        return


def forget_layout() -> None:
    """Let the next call read the state again."""
    global _cached
    _cached = None


def _has_tenants() -> bool:
    return next(query_items(TenantItem, TENANTS, page_size=1), None) is not None
