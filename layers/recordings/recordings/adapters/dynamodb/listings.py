"""The part of a change that keeps what lists are read from: rows and tallies, by the state of the table's layout.

A row exists if and only if its recording is counted: every write of rows has a condition on the row, and the counters
change in the same transaction. So the tallies equal the rows, whatever happened before. Where a row is not as expected,
because the recording was not listed yet, the change is sent again without that expectation.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from recordings.adapters.dynamodb.layout import Layout, current_layout, refreshed_layout
from recordings.adapters.dynamodb.listing_items import (
    TALLY_ITEMS,
    RoomRowItem,
    RowItem,
    TallyItem,
    additions,
)
from recordings.adapters.dynamodb.recording_items import RecordingItem, RoomListItem, is_unchanged
from recordings.adapters.dynamodb.tallies import add_to_tallies
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.domain.errors import ConcurrentUpdate
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording
from recordings.domain.tally import Level, changes, difference

# One attempt for each of two rows that may not be as expected, one for a new state, and one that succeeds.
MAX_ATTEMPTS: Final = 4


class Listing(NamedTuple):
    """What an attempt at a change expects: the state of the layout, and the statuses in which there is a row."""

    layout: Layout
    rows: frozenset[Status]

    def change(self, transaction: Transaction, before: Recording | None, after: Recording) -> None:
        """Add the actions of a change to its transaction."""
        if self.layout.writes_days:
            _change_days(transaction, before, after)
        if self.layout.writes_rows:
            self._change_rows(transaction, _live(before), _live(after))
        else:
            self._require_no_row(transaction, _live(before))

    def _change_rows(self, transaction: Transaction, was: Recording | None, now: Recording | None) -> None:
        # For each status: the recording that leaves its rows, and the one that enters them.
        places: dict[Status, tuple[Recording | None, Recording | None]] = {}
        if was is not None:
            places[was.status] = was, now if now is not None and now.status is was.status else None
        if now is not None and now.status not in places:
            places[now.status] = None, now
        counters: dict[Level, Counter[str]] = {level: Counter() for level in Level}
        for status, (old, new) in places.items():
            counted = (old or new) if status in self.rows else None
            _write_rows(transaction, old, new, is_listed=counted is not None)
            for level, counts in counters.items():
                counts.update(changes(level, counted, new))
        one = was or now
        if one is not None:
            _add_to_tallies(transaction, one, counters)

    def _require_no_row(self, transaction: Transaction, was: Recording | None) -> None:
        """Check that no other process listed the recording: then the state that this process works by is old."""
        if was is not None and was.status not in self.rows:
            transaction.require(
                RowItem.from_domain(was), RowItem.pk.does_not_exist(), otherwise=lambda _: _RowNotAsExpected(was.status)
            )


class _RowNotAsExpected(Exception):
    """There is a row where none was expected, or none where one was."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


def write_listed(before: Recording | None, after: Recording, write: Callable[[Listing], None]) -> None:
    """Carry out a change of a recording: call `write` until the rows are as the given listing expects.

    Raises:
        ConcurrentUpdate: other processes list the recording without end
        What `write` raises
    """
    layout = current_layout()
    rows = _expected_rows(layout, before)
    for _ in range(MAX_ATTEMPTS):
        try:
            write(Listing(layout, rows))
        except _RowNotAsExpected as found:
            latest = layout if layout.writes_rows else refreshed_layout()
            rows = rows ^ {found.status} if latest is layout else _expected_rows(latest, before)
            layout = latest
        else:
            return
    raise ConcurrentUpdate(f"other calls list recording {after.id}; send the request again")


def list_recording(recording: Recording) -> bool:
    """Write the rows of a recording that has none yet, and count it. Return False if it has rows, or is deleted.

    For a migration in state `both` or later, where every writer lists what it changes. It may be repeated, and run
    beside any change.

    Raises:
        ConcurrentUpdate: the recording changed since it was read
        Throttled, InfrastructureError
    """
    if recording.deleted_at is not None:
        return False
    try:
        with Transaction() as transaction:
            transaction.require(
                RecordingItem.at(recording),
                is_unchanged(recording),
                otherwise=lambda _: ConcurrentUpdate(f"another call changed recording {recording.id} first"),
            )
            _write_rows(transaction, None, recording, is_listed=False)
            _add_to_tallies(transaction, recording, {level: changes(level, None, recording) for level in Level})
    except _RowNotAsExpected:
        return False
    return True


def _expected_rows(layout: Layout, before: Recording | None) -> frozenset[Status]:
    live = _live(before)
    return frozenset({live.status}) if layout.writes_rows and live is not None else frozenset()


def _live(recording: Recording | None) -> Recording | None:
    return recording if recording is not None and recording.deleted_at is None else None


def _write_rows(transaction: Transaction, old: Recording | None, new: Recording | None, *, is_listed: bool) -> None:
    """Replace the rows of `old` in one status by those of `new` in the same status; None: there are none."""
    one = new or old
    if one is None:
        return
    # Both rows are always written together, so the condition on one of them serves for both.
    row, room_row = RowItem.from_domain(one), RoomRowItem.from_domain(one)
    expected = RowItem.pk.exists() if is_listed else RowItem.pk.does_not_exist()

    def otherwise(_: object) -> Exception:
        return _RowNotAsExpected(one.status)

    if new is None and is_listed:
        transaction.delete(row, expected, otherwise=otherwise)
        transaction.delete(room_row)
    elif new is None:
        transaction.require(row, expected, otherwise=otherwise)
    elif old is None or not is_listed or difference(old, new):
        transaction.save(row, expected, otherwise=otherwise)
        transaction.save(room_row)


def _add_to_tallies(
    transaction: Transaction, recording: Recording, counters: Mapping[Level, Mapping[str, int]]
) -> None:
    tenant_id, at = recording.tenant_id, recording.created_at
    for level, counts in counters.items():
        amounts = {name: amount for name, amount in counts.items() if amount}
        if not amounts:
            continue
        tally: type[TallyItem] = TALLY_ITEMS[level]
        transaction.update_part(tenant_id, partial(tally.at, tenant_id, None, level.bucket_of(at)), additions(amounts))
        transaction.update(tally.at(tenant_id, recording.room_id, level.bucket_of(at)), additions(amounts))


def _change_days(transaction: Transaction, before: Recording | None, after: Recording) -> None:
    """Write what the earlier layout has: the day tallies, and the list of the room's recordings."""
    was_live, is_live = _live(before) is not None, _live(after) is not None
    listed = RoomListItem.from_domain(after)
    if is_live and not was_live:
        transaction.save(listed)
    elif was_live and not is_live:
        transaction.delete(listed)
    add_to_tallies(transaction, after, difference(before, after))
