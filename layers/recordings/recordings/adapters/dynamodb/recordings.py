"""Recordings, with their tallies, their room's lock, and their links.

A change of several items is one transaction, so the tallies are right by construction. A change of one item is a plain
conditional write, which costs half the write units.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import batched

from pynamodb.expressions.condition import Condition

from recordings.adapters.dynamodb.actors import current_actor
from recordings.adapters.dynamodb.attributes import nested
from recordings.adapters.dynamodb.keys import partition
from recordings.adapters.dynamodb.listings import Listing, write_listed
from recordings.adapters.dynamodb.pages import read_page
from recordings.adapters.dynamodb.queries import BATCH_SIZE, query_items
from recordings.adapters.dynamodb.recording_items import (
    OPEN,
    CloudflareLinkItem,
    ProgressMap,
    RecordingItem,
    UnfinishedItem,
    is_unchanged,
    optional,
)
from recordings.adapters.dynamodb.recording_reads import (
    blocker_of,
    read_all_including_deleted,
    read_including_deleted,
    read_link,
    read_links,
    read_live,
)
from recordings.adapters.dynamodb.room_items import RoomItem
from recordings.adapters.dynamodb.task_tokens import pop_task_token, store_task_token
from recordings.adapters.dynamodb.transaction import Transaction
from recordings.adapters.dynamodb.writes import delete_item, equals_or_null, put_item, set_or_null, update_item
from recordings.domain.errors import (
    ConcurrentUpdate,
    RecordingNotFound,
    RoomAlreadyRecording,
    RoomNotFound,
    Throttled,
)
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Progress, Recording
from recordings.domain.room_range import ALL_ROOMS, RoomRange
from recordings.domain.tally import difference
from recordings.ports.repositories import CountedPage, Filter


class _RoomMovedOn(Exception):
    """The room does not hold the recording any more."""


class DynamoRecordings:
    """Implements ports.repositories.Recordings."""

    def add(self, recording: Recording, *, lease_nonce: str | None) -> Recording:
        recording = recording.attributed_to(current_actor(), after=None)
        write_listed(None, recording, lambda listing: _add(recording, listing, lease_nonce))
        return recording

    def get(self, tenant_id: str, recording_id: str) -> Recording:
        recording = read_live(tenant_id, recording_id)
        if recording is None:
            raise RecordingNotFound("there is no such recording")
        return recording

    def get_including_deleted(self, tenant_id: str, recording_id: str) -> Recording:
        recording = read_including_deleted(tenant_id, recording_id)
        if recording is None:
            raise RecordingNotFound("there is no such recording")
        return recording

    def save(self, before: Recording, after: Recording) -> Recording:
        if after is before:
            return after
        after = after.attributed_to(current_actor(), after=before)
        if _changes_one_item(before, after):
            _replace(before, after)
            return after
        frees_room = before.status is Status.RECORDING and after.status is not Status.RECORDING
        try:
            write_listed(before, after, lambda listing: _change(before, after, listing, frees_room=frees_room))
        except _RoomMovedOn:
            # The end of the recording is stored all the same.
            write_listed(before, after, lambda listing: _change(before, after, listing, frees_room=False))
        return after

    def put_back(self, recording: Recording) -> None:
        item, absent = RecordingItem.from_domain(recording), RecordingItem.pk.does_not_exist()
        try:
            if not recording.unfinished:
                put_item(item, absent)
                return
            with Transaction() as transaction:
                transaction.save(item, absent)
                _note_unfinished(transaction, None, recording)
        except ConcurrentUpdate:
            # Another repeat put it back, or this very write did and its response was lost.
            return

    def note_progress(self, recording: Recording, progress: Progress | None, *, stalled: bool = False) -> None:
        move = RecordingItem.archive_attempt
        try:
            update_item(
                RecordingItem.at(recording),
                [
                    set_or_null(RecordingItem.progress, optional(ProgressMap.from_domain, progress)),
                    RecordingItem.stalled.set(stalled),
                ],
                (RecordingItem.status == recording.status)
                & (RecordingItem.attempt == recording.attempt)
                # A recording of the first release may lack the number of its move.
                & (move.does_not_exist() | (move == recording.archive_attempt)),
            )
        except ConcurrentUpdate:
            # The recording moved on: the step whose progress this is has ended.
            return

    def note_missing(self, recording: Recording, since: datetime | None) -> None:
        noted = equals_or_null(RecordingItem.missing_since, recording.missing_since)
        if recording.missing_since is None:
            # Items of the first release lack the attribute; later ones have NULL.
            noted |= RecordingItem.missing_since.does_not_exist()
        try:
            update_item(
                RecordingItem.at(recording),
                [set_or_null(RecordingItem.missing_since, since)],
                is_unchanged(recording) & noted,
            )
        except ConcurrentUpdate:
            # The recording changed since it was read, or this very write did it and its response was lost.
            return

    def add_progress(self, tenant_id: str, recording_id: str, *, attempt: int, copied: int) -> None:
        done = nested(RecordingItem.progress.bytes_done)
        try:
            recording = self.get_including_deleted(tenant_id, recording_id)
            condition = (nested(RecordingItem.progress.attempt) == attempt) & done.is_type()  # type: ignore[no-untyped-call]
            if recording.progress is not None and recording.progress.bytes_total is not None:
                # A plain write is repeated after a lost response, and then counts twice. It never counts too far.
                condition &= done <= recording.progress.bytes_total - copied
            update_item(RecordingItem.at(recording), [done.set(done + copied)], condition)
        except (ConcurrentUpdate, RecordingNotFound, Throttled):
            # The step has ended; or DynamoDB is busy, and a copy does not fail because its progress is not shown.
            return

    def page(
        self,
        tenant_id: str,
        only: Filter = Filter(),  # noqa: B008  # frozen
        *,
        limit: int,
        offset: int = 0,
        cursor: str | None = None,
    ) -> CountedPage:
        return read_page(tenant_id, only, limit=limit, offset=offset, cursor=cursor)

    def find_by_cloudflare_recording_id(self, cloudflare_recording_id: str) -> Recording | None:
        link = read_link(cloudflare_recording_id)
        return read_including_deleted(link.tenant_id, link.recording_id) if link is not None else None

    def find_by_cloudflare_recording_ids(
        self, cloudflare_recording_ids: Sequence[str]
    ) -> Mapping[str, Recording | None]:
        links = read_links(cloudflare_recording_ids)
        recordings = read_all_including_deleted((link.tenant_id, link.recording_id) for link in links)
        return dict(zip((link.cloudflare_recording_id for link in links), recordings, strict=True))

    def list_unfinished(self) -> Iterator[Recording]:
        # In batches: a tenant may have archived a hundred thousand recordings at once, and all of them are unfinished.
        for items in batched(query_items(UnfinishedItem, OPEN, newest_first=True), BATCH_SIZE, strict=False):
            recordings = read_all_including_deleted((item.tenant_id, item.sk) for item in items)
            for item, recording in zip(items, recordings, strict=True):
                if recording is None:
                    # Purged before it was finished.
                    delete_item(item)
                elif recording.unfinished:
                    yield recording

    def list_all(self, tenant_id: str, rooms: RoomRange = ALL_ROOMS) -> Iterator[Recording]:
        for name in ("REC", "TRASH"):
            for item in query_items(
                RecordingItem, partition(tenant_id, name), only=_in_rooms(rooms), newest_first=True
            ):
                if rooms.contains(item.room_id):
                    yield item.to_domain()

    def store_task_token(self, recording: Recording, token: str) -> None:
        store_task_token(recording, token)

    def pop_task_token(self, recording: Recording, *, only: str | None = None) -> str | None:
        return pop_task_token(recording, only=only)


def _add(recording: Recording, listing: Listing, lease_nonce: str | None) -> None:
    def known(_: object) -> Exception:
        return ConcurrentUpdate("this Cloudflare recording is already imported")

    with Transaction() as transaction:
        transaction.save(RecordingItem.from_domain(recording), RecordingItem.pk.does_not_exist(), otherwise=known)
        if recording.cloudflare_recording_id is not None:
            link = CloudflareLinkItem.from_domain(recording)
            transaction.save(link, CloudflareLinkItem.pk.does_not_exist(), otherwise=known)
        if recording.status is Status.RECORDING:
            _occupy_room(transaction, recording, lease_nonce)
        listing.change(transaction, None, recording)
        _note_unfinished(transaction, None, recording)


def _occupy_room(transaction: Transaction, recording: Recording, lease_nonce: str | None) -> None:
    def error(room: RoomItem | None) -> Exception:
        if room is None:
            return RoomNotFound("there is no such room")
        return RoomAlreadyRecording("the room is already being recorded", blocker=blocker_of(room))

    if lease_nonce is not None:
        is_free = RoomItem.lease_nonce == lease_nonce
    else:
        now = datetime.now(UTC).replace(microsecond=0)
        is_free = RoomItem.lease_until.does_not_exist() | (RoomItem.lease_until <= now)
    transaction.update(
        RoomItem.at(recording.tenant_id, recording.room_id),
        [
            RoomItem.active_recording_id.set(recording.id),
            RoomItem.lease_nonce.remove(),
            RoomItem.lease_until.remove(),
        ],
        RoomItem.pk.exists() & RoomItem.active_recording_id.does_not_exist() & is_free,
        otherwise=error,
    )


def _free_room(transaction: Transaction, recording: Recording) -> None:
    transaction.update(
        RoomItem.at(recording.tenant_id, recording.room_id),
        [RoomItem.active_recording_id.remove()],
        RoomItem.active_recording_id == recording.id,
        otherwise=lambda _: _RoomMovedOn(),
    )


def _note_unfinished(transaction: Transaction, before: Recording | None, after: Recording) -> None:
    """Add a recording to the unfinished ones, or remove it, where the change does so."""
    was_open = before is not None and before.unfinished
    if after.unfinished and not was_open:
        transaction.save(UnfinishedItem.from_domain(after))
    elif was_open and not after.unfinished:
        transaction.delete(UnfinishedItem.from_domain(after))


def _changes_one_item(before: Recording, after: Recording) -> bool:
    """Return whether a change leaves the tallies, the room and every list as they are.

    A row has no more than what `difference` counts.
    """
    return (
        (before.deleted_at is None) == (after.deleted_at is None)
        and before.status is after.status
        and before.unfinished == after.unfinished
        and not difference(before, after)
    )


def _replace(before: Recording, after: Recording) -> None:
    item = RecordingItem.from_domain(after)
    # botocore repeats a plain write whose response was lost. The repeat must not look like another call's change.
    item.saved_by = secrets.token_hex(4)
    put_item(
        item,
        is_unchanged(before) | (RecordingItem.saved_by == item.saved_by),
        otherwise=lambda _: _changed_first(before),
    )


def _change(before: Recording, after: Recording, listing: Listing, *, frees_room: bool) -> None:
    def error(_: object) -> Exception:
        return _changed_first(before)

    with Transaction() as transaction:
        if (before.deleted_at is None) == (after.deleted_at is None):
            transaction.save(RecordingItem.from_domain(after), is_unchanged(before), otherwise=error)
        else:
            transaction.delete(RecordingItem.at(before), is_unchanged(before), otherwise=error)
            transaction.save(RecordingItem.from_domain(after), RecordingItem.pk.does_not_exist(), otherwise=error)
        listing.change(transaction, before, after)
        _note_unfinished(transaction, before, after)
        if frees_room:
            _free_room(transaction, before)


def _changed_first(recording: Recording) -> ConcurrentUpdate:
    return ConcurrentUpdate(f"another call changed recording {recording.id} first")


def _in_rooms(rooms: RoomRange) -> Condition | None:
    """Return a filter that leaves out most recordings of other rooms; None for all rooms.

    DynamoDB then does not send them. Parsing them is what takes the time.
    """
    if rooms.whole:
        return None
    first, last = rooms.id_bounds
    condition: Condition = RecordingItem.room_id >= first
    if rooms.high is not None:
        up_to_last: Condition = RecordingItem.room_id <= last
        # A room with a colon in its id has its folder elsewhere.
        condition &= up_to_last | RecordingItem.room_id.contains(":")
    return condition
