"""Move the lists of recordings to rows and tallies by calendar, while the functions run.

Each step can be repeated, by another operator too: two commands at once do the same work twice and no harm. A step's
result is stored before the next one begins, and a state is stored only in place of the one before it.
"""

from collections.abc import Callable
from itertools import batched
from typing import Any, Final

from admin import AdminError
from admin.lists.migration_items import MIGRATION_KEY, MigrationItem, TenantMigrationItem
from admin.lists.pace import Pace, for_each
from admin.lists.rebuild import rebuild
from admin.lists.rows import BATCH_SIZE, list_recordings
from recordings.adapters.dynamodb.audit import TENANTS
from recordings.adapters.dynamodb.connection import call
from recordings.adapters.dynamodb.items import TenantItem
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.layout import (
    LAYOUT_TTL_SECONDS,
    Layout,
    find_stored_layout,
    store_layout,
)
from recordings.adapters.dynamodb.listings import list_recording
from recordings.adapters.dynamodb.queries import get_item, item_key
from recordings.adapters.dynamodb.recording_items import RecordingItem
from recordings.adapters.dynamodb.settings import TABLE
from recordings.adapters.dynamodb.writes import delete_item, update_item
from recordings.domain.errors import ConcurrentUpdate, Throttled
from recordings.domain.recording import Recording

# From when a write reads the state to its end: a request has 25 seconds, and a workflow's write gives up in less.
MAX_WRITE_SECONDS: Final = 60
# A process reads the state again after one time, and may have read it just before it changed.
MIN_SETTLE_SECONDS: Final = 2 * LAYOUT_TTL_SECONDS + MAX_WRITE_SECONDS
SETTLE_SECONDS: Final = MIN_SETTLE_SECONDS + 60
# Batches between two checkpoints of a tenant.
BATCHES_PER_CHECKPOINT: Final = 20
# API Reference, BatchWriteItem.
MAX_DELETES: Final = 25

type Show = Callable[[str], object]


class Migration:
    """Drives the states from `days` to `rows`."""

    def __init__(self, pace: Pace, show: Show, *, workers: int, settle_seconds: float) -> None:
        self._pace, self._show, self._workers, self._settle_seconds = pace, show, workers, settle_seconds
        # How many recordings and tenants this command is through with.
        self.listed = self.tenants = 0

    def __call__(self) -> None:
        """Take every step that is left.

        Raises:
            AdminError: lists could not be brought in line with the recordings
            Throttled, InfrastructureError
        """
        while not self._is_finished():
            layout = self._read(find_stored_layout) or Layout.DAYS
            if layout is Layout.DAYS:
                self._store(Layout.BOTH, before=layout)
                continue
            self._settle(layout)
            match layout:
                case Layout.BOTH:
                    self._list_everything()
                    self._store(Layout.ROWS_WITH_DAYS, before=layout)
                case Layout.ROWS_WITH_DAYS:
                    self._store(Layout.ROWS, before=layout)
                case Layout.ROWS:
                    self._delete_old_items()
                    self._finish()

    # ------------------------------------------------------------ states

    def _store(self, layout: Layout, *, before: Layout) -> None:
        # Before the first migration no state is stored.
        expected = self._read(find_stored_layout)
        if (expected or Layout.DAYS) is not before:
            return
        try:
            self._pace.run(lambda: store_layout(layout, expected=expected))
        except ConcurrentUpdate:
            # Another command has stored it, or this one did and the response was lost.
            return
        self._show(f"The table's layout is now {layout}.")

    def _settle(self, layout: Layout) -> None:
        """Wait until every process knows the state, and every write by an earlier one has ended."""
        if self._migration().settled == layout:
            return
        self._show(f"Wait {self._settle_seconds:g} s, until every function works by layout {layout}.")
        self._pace.pause(self._settle_seconds)
        if self._read(find_stored_layout) is layout:
            self._note(MigrationItem.settled.set(layout.value))

    def _migration(self) -> MigrationItem:
        return self._read(lambda: get_item(MigrationItem, *MIGRATION_KEY)) or MigrationItem(*MIGRATION_KEY)

    def _is_finished(self) -> bool:
        return self._migration().finished is True

    def _note(self, *actions: Any) -> None:
        self._pace.run(lambda: update_item(MigrationItem(*MIGRATION_KEY), actions))

    def _read[T](self, action: Callable[[], T]) -> T:
        return self._pace.run(action)

    # ------------------------------------------------------------ rows

    def _list_everything(self) -> None:
        """Give all recordings of all tenants their rows, and check them. Tenants may be added meanwhile."""
        known: set[str] = set()
        while tenants := sorted(set(list_tenants(self._pace)) - known):
            for_each(tenants, self._list_tenant, workers=self._workers, pace=self._pace)
            known.update(tenants)

    def _list_tenant(self, tenant_id: str) -> None:
        item = TenantMigrationItem.at(tenant_id)
        noted = self._read(lambda: get_item(TenantMigrationItem, item.pk, item.sk)) or item
        if not noted.listed:
            self._list_recordings(tenant_id, noted.after)
            self._note_tenant(item, TenantMigrationItem.listed.set(True))
        if not noted.checked:
            _, found = rebuild(tenant_id, self._pace, rows=True, days=False)
            if not found.right:
                raise AdminError(
                    f"The lists of tenant {tenant_id} change too fast to be compared, or cannot be mended. "
                    "Repeat the command when less happens; it resumes here."
                )
            self._note_tenant(item, TenantMigrationItem.checked.set(True))
        self.tenants += 1

    def _list_recordings(self, tenant_id: str, after: str | None) -> None:
        live = self._pace.read(RecordingItem, partition(tenant_id, "REC"), after=after)
        recordings = (item.to_domain() for item in live)
        for number, batch in enumerate(batched(recordings, BATCH_SIZE, strict=False), start=1):
            self._pace.take(len(batch))
            self._list_batch(batch)
            self.listed += len(batch)
            if number % BATCHES_PER_CHECKPOINT == 0:
                self._note_tenant(TenantMigrationItem.at(tenant_id), TenantMigrationItem.after.set(batch[-1].id))

    def _list_batch(self, batch: tuple[Recording, ...]) -> None:
        try:
            self._pace.run(lambda: list_recordings(batch))
            return
        except ConcurrentUpdate:
            # Some have changed since they were read, or have rows.
            pass
        for one in batch:
            try:
                self._pace.run(lambda one=one: list_recording(one))  # type: ignore[misc]
            except ConcurrentUpdate:
                # Who changed it has listed it. The comparison sees whether it has its rows.
                continue

    def _note_tenant(self, item: TenantMigrationItem, action: Any) -> None:
        self._pace.run(lambda: update_item(item, [action]))

    # ------------------------------------------------------------ old items

    def _delete_old_items(self) -> None:
        """Delete day tallies and room lists. The whole table is read, because rooms may be gone that had some."""
        self._show("Delete the day tallies and room lists of the earlier layout.")
        noted = self._migration()
        start: Any = item_key(noted.read_pk, noted.read_sk) if noted.read_pk and noted.read_sk else None
        while True:
            page = self._read(lambda start=start: _scan(start))  # type: ignore[misc]
            old = [key for key in page["Items"] if is_old(key["pk"]["S"])]
            for some in batched(old, MAX_DELETES, strict=False):
                self._pace.take(len(some))
                self._pace.run(lambda some=some: _delete(some))  # type: ignore[misc]
            start = page.get("LastEvaluatedKey")
            if start is None:
                return
            self._note(MigrationItem.read_pk.set(start["pk"]["S"]), MigrationItem.read_sk.set(start["sk"]["S"]))

    def _finish(self) -> None:
        for tenant_id in list_tenants(self._pace):
            self._pace.run(lambda of=tenant_id: delete_item(TenantMigrationItem.at(of)))  # type: ignore[misc]
        self._note(MigrationItem.finished.set(True), MigrationItem.read_pk.remove(), MigrationItem.read_sk.remove())


def is_migrated() -> bool:
    """Return whether nothing is left to do: the migration has finished, or the table is newer than day tallies.

    Raises:
        Throttled, InfrastructureError
    """
    migration = get_item(MigrationItem, *MIGRATION_KEY)
    if migration is not None:
        return migration.finished is True
    return find_stored_layout() is Layout.ROWS


def list_tenants(pace: Pace) -> list[str]:
    """Return every tenant that ever had a room."""
    return [item.tenant_id for item in pace.read(TenantItem, TENANTS)]


def is_old(pk: str) -> bool:
    """Return whether a partition belongs to the earlier layout: its items are day tallies or a room list."""
    match pk.split("#", 3):
        case ["T", _, "DAY" | "LIST", _] | ["T", _, "DAY"]:
            return True
        case _:
            return False


def _scan(start: Any) -> Any:
    arguments: dict[str, Any] = {
        "TableName": TABLE,
        "ProjectionExpression": "pk, sk",
        # Nothing writes these items any more.
        "ConsistentRead": False,
    }
    return call("Scan", arguments | ({"ExclusiveStartKey": start} if start else {}))


def _delete(keys: tuple[Any, ...]) -> None:
    wanted: Any = {TABLE: [{"DeleteRequest": {"Key": key}} for key in keys]}
    response = call("BatchWriteItem", {"RequestItems": wanted})
    if response.get("UnprocessedItems"):
        # The whole batch is repeated, after a pause: to delete an item again does nothing.
        raise Throttled("the table is busy")
