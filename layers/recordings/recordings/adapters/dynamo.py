"""Rooms, recordings, tallies and links in the DynamoDB table; adapters.dynamodb has its other items.

    room             T#<tenant>#ROOM          <room id>        holds the lock
    room's last name T#<tenant>#ROOMNAME      <room id>        of a room that was deleted
    recording        T#<tenant>#REC           rec_<ULID>       newest first is one Query
    deleted one      T#<tenant>#TRASH         rec_<ULID>       so that live pages hold live recordings only
    day tally        T#<tenant>#DAY           2026-01-06       what the recordings of a day add up to
    its like         T#<tenant>#DAY#<room>    2026-01-06       the same for one room
    URLs given out   T#<tenant>#URLS          rec_<ULID>       until when the last URL of the file in R2 works
    purge record     T#<tenant>#PURGED        rec_<ULID>       what a purge removed, for some days
    room's list      T#<tenant>#LIST#<room>   rec_<ULID>       the ids of a room's recordings
    open list        OPEN                     rec_<ULID>       recordings that are still being worked on, all tenants
    claim            T#<tenant>#CLAIM         <room id>        while a room's meeting is being made
    meeting link     MEETING#<meeting id>     LINK             who owns a meeting, for ever, and which room holds it
    Cloudflare link  CLOUDFLARE#<id>          LINK             one Cloudflare recording, one of ours

Every change is one transaction, so tallies, links and locks are right by construction. boto3's own client is used:
conditions on several items with the reason of each refusal are the heart of this module, and the client says them
exactly as DynamoDB does, at no import beyond the one that every function needs anyway.
"""

import os
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, Final
from urllib.parse import quote

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from recordings.adapters.aws.errors import CANCELED, Refused, is_answered, translated_errors
from recordings.adapters.dynamodb.connection import client as client
from recordings.adapters.dynamodb.cursors import decode_cursor, encode_cursor
from recordings.adapters.dynamodb.settings import TABLE as TABLE
from recordings.adapters.dynamodb.task_tokens import pop_task_token, store_task_token
from recordings.adapters.dynamodb.transaction import TRANSIENT_REASONS
from recordings.adapters.dynamodb.writes import MAX_ATTEMPTS, jittered_pause
from recordings.domain.errors import (
    ConcurrentUpdate,
    InfrastructureError,
    RecordingNotFound,
    RoomAlreadyRecording,
    RoomNotFound,
    Throttled,
)
from recordings.domain.ids import is_room_id
from recordings.domain.lifecycle import Status
from recordings.domain.recording import Archive, Change, Failure, HeldFile, Progress, Recording, StoredFile
from recordings.domain.room_range import EVERY_ROOM, RoomRange
from recordings.domain.tally import day_of, difference
from recordings.ports.repositories import CountedPage, Filter

type Item = dict[str, Any]
type Key = dict[str, Any]

LINK: Final = "LINK"
OPEN: Final = "OPEN"
# A sort key of DynamoDB holds at most 1,024 bytes (Developer Guide, "Quotas").
LONGEST_KEY: Final = 1024
LONGEST_PARTITION: Final = 2048
KEPT_FOR: Final = timedelta(hours=24)
# Beyond this a time cannot be reckoned with; nothing is that new.
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
READ_TOO_MANY: Final = 100
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_client = client
_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: _deserialize(value) for name, value in item.items()}


def _partition(tenant_id: str, kind: str) -> str:
    # Quoted, so that no tenant's name can reach into another's keys.
    return f"T#{quote(tenant_id, safe='')}#{kind}"


def _key(pk: str, sk: str) -> Key:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _fits_partition(key: str) -> bool:
    try:
        return 0 < len(key.encode()) <= LONGEST_PARTITION
    except UnicodeEncodeError:
        return False


def _fits(key: str) -> bool:
    try:
        return 0 < len(key.encode()) <= LONGEST_KEY
    except UnicodeEncodeError:
        return False


class _Refused(Exception):
    """Conditions of a transaction that did not hold: by action, the item as it is, if it was asked for."""

    def __init__(self, refused: Mapping[int, Item | None]) -> None:
        super().__init__(str(sorted(refused)))
        self.refused = refused


def _transact(actions: Sequence[dict[str, Any]]) -> None:
    """Do all or nothing.

    Raises:
        _Refused: a condition does not hold
        Throttled: the table is busy, or does not answer: then it is unknown whether all or nothing was done
        InfrastructureError: it can never be done
    """
    # One token for all repeats of one try, botocore's too: a lost answer is no false refusal.
    token = secrets.token_hex(16)
    busy: Throttled | None = None
    for attempt in range(MAX_ATTEMPTS):
        try:
            with translated_errors(CANCELED):
                _client.transact_write_items(TransactItems=list(actions), ClientRequestToken=token)  # type: ignore[arg-type]
            return
        except Refused as refusal:
            reasons: Sequence[Mapping[str, Any]] = refusal.response.get("CancellationReasons", [])
            refused = {
                index: _plain(reason["Item"]) if reason.get("Item") else None
                for index, reason in enumerate(reasons)
                if reason.get("Code") == "ConditionalCheckFailed"
            }
            if refused:
                raise _Refused(refused) from refusal
            if not any(reason.get("Code") in TRANSIENT_REASONS for reason in reasons):
                told = sorted({str(reason.get("Code")) for reason in reasons})
                raise InfrastructureError(f"a transaction was cancelled: {', '.join(told)}") from refusal.__cause__
            # Nothing was written, so the next try is another one.
            token = secrets.token_hex(16)
        except Throttled as error:
            if not is_answered(error):
                # botocore has sent it three times with this token, and has waited for the answer as often.
                raise
            # What became of it may be unknown, or still under way: the same token asks about the same transaction.
            busy = error
        jittered_pause(attempt)
    raise Throttled("the table is busy; try again in a moment", retry_after=1) from busy


def _put(item: Item, condition: str, values: Item | None = None, names: Mapping[str, str] | None = None) -> Item:
    action: Item = {"TableName": TABLE, "Item": _typed(item), "ConditionExpression": condition}
    return {"Put": _with(action, values, names)}


def _update(key: Key, change: str, condition: str | None, values: Item, names: Mapping[str, str] | None = None) -> Item:
    action: Item = {"TableName": TABLE, "Key": key, "UpdateExpression": change}
    if condition is not None:
        action["ConditionExpression"] = condition
    return {"Update": _with(action, values, names)}


def _delete(key: Key, condition: str, values: Item | None = None, names: Mapping[str, str] | None = None) -> Item:
    return {"Delete": _with({"TableName": TABLE, "Key": key, "ConditionExpression": condition}, values, names)}


def _with(action: Item, values: Item | None, names: Mapping[str, str] | None) -> Item:
    if values:
        action["ExpressionAttributeValues"] = _typed(values)
    if names:
        action["ExpressionAttributeNames"] = dict(names)
    if "ConditionExpression" in action:
        action["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return action


def _check(key: Key, condition: str, values: Item, names: Mapping[str, str] | None = None) -> Item:
    action = {"TableName": TABLE, "Key": key, "ConditionExpression": condition}
    return {"ConditionCheck": _with(action, values, names)}


def _get(pk: str, sk: str) -> Item | None:
    if not _fits(sk) or not _fits_partition(pk):
        return None
    with translated_errors():
        found = _client.get_item(TableName=TABLE, Key=_key(pk, sk), ConsistentRead=True).get("Item")
    return _plain(found) if found else None


def _put_item(item: Item) -> None:
    """Write an item, whatever was there before."""
    with translated_errors():
        _client.put_item(TableName=TABLE, Item=_typed(item))


def _delete_item(key: Key) -> None:
    """Remove an item, if it is there."""
    with translated_errors():
        _client.delete_item(TableName=TABLE, Key=key)


def _batch_get(keys: Sequence[Key]) -> list[Item]:
    """The items there are under these keys, in any order. Raises Throttled when the table stays busy."""
    found: list[Item] = []
    for some in batched(keys, 100, strict=False):
        wanted: Any = {TABLE: {"Keys": list(some), "ConsistentRead": True}}
        for attempt in range(MAX_ATTEMPTS):
            with translated_errors():
                answer = _client.batch_get_item(RequestItems=wanted)
            found += [_plain(item) for item in answer["Responses"].get(TABLE, [])]
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                break
            jittered_pause(attempt)
        else:
            raise Throttled("the table is busy; try again in a moment", retry_after=1)
    return found


def _text(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


# For the adapters of the other items of this table.
ConditionsFailed, transact, read_item, partition, item_key = _Refused, _transact, _get, _partition, _key
update_action, condition_check, plain = _update, _check, _plain


def _blocker(room: Item) -> Recording | None:
    held_by = room.get("active_recording_id")
    return read_recording(room["tenant_id"], held_by) if held_by is not None else None


def read_recording(tenant_id: str, recording_id: str) -> Recording | None:
    """Read one that is not deleted; None if there is none."""
    item = _get(_partition(tenant_id, "REC"), recording_id)
    return _recording(item) if item else None


# ---------------------------------------------------------------- recordings


def _progress_item(progress: Progress | None) -> Item | None:
    if progress is None:
        return None
    return asdict(progress) | {
        "next_step_due": _text(progress.next_step_due),
        "stuck_after": _text(progress.stuck_after),
    }


def _archive_item(archive: Archive | None) -> Item | None:
    if archive is None:
        return None
    return asdict(archive) | {
        "restored_until": _text(archive.restored_until),
        "expected_at": _text(archive.expected_at),
        "pending_since": _text(archive.pending_since),
        "source_kept_until": _text(archive.source_kept_until),
    }


def _archive(item: Item | None) -> Archive | None:
    if item is None:
        return None
    return Archive(
        state=item["state"],
        storage_class=item.get("storage_class"),
        restored_until=_time(item.get("restored_until")),
        expected_at=_time(item.get("expected_at")),
        tier=item.get("tier"),
        days=_whole(item.get("days")),
        moved_from=item.get("moved_from"),
        pending_since=_time(item.get("pending_since")),
        source_kept_until=_time(item.get("source_kept_until")),
    )


def _expiry(recording: Recording) -> Item:
    """When DynamoDB is to remove a deleted recording; it tells PurgeRecording, which removes the file."""
    days = int(os.environ.get("RETENTION_DAYS", "0"))
    if recording.deleted_at is None or not days:
        return {}
    return {"expires_at": int((recording.deleted_at + timedelta(days=days)).timestamp())}


def _recording_item(recording: Recording) -> Item:
    return _expiry(recording) | {
        "pk": _home(recording),
        "sk": recording.id,
        "tenant_id": recording.tenant_id,
        "room_id": recording.room_id,
        "room_name": recording.room_name,
        "meeting_id": recording.meeting_id,
        "status": recording.status.value,
        "origin": recording.origin,
        "created_at": _text(recording.created_at),
        "started_at": _text(recording.started_at),
        "cloudflare_id": recording.cloudflare_recording_id,
        "stop_requested_at": _text(recording.stop_requested_at),
        "stopped_at": _text(recording.stopped_at),
        "duration_seconds": recording.duration_seconds,
        "archived_at": _text(recording.archived_at),
        "file": asdict(recording.file) if recording.file else None,
        "archive": _archive_item(recording.archive),
        "archive_error": asdict(recording.archive_error) if recording.archive_error else None,
        "archive_attempt": recording.archive_attempt,
        "deleted_at": _text(recording.deleted_at),
        "failure": asdict(recording.failure) if recording.failure else None,
        "partial": recording.partial,
        "stalled": recording.stalled,
        "attempt": recording.attempt,
        "automatic_attempts": recording.automatic_attempts,
        "held": asdict(recording.held) if recording.held else None,
        "recovered_at": _text(recording.recovered_at),
        "delivery_key": recording.delivery_key,
        "missing_since": _text(recording.missing_since),
        "progress": _progress_item(recording.progress),
        "history": [
            {"status": change.status.value, "at": _text(change.at), "cause": change.cause}
            for change in recording.history
        ],
        "version": recording.version,
    }


def _recording(item: Item) -> Recording:
    file, failure, progress = item.get("file"), item.get("failure"), item.get("progress")
    return Recording(
        id=item["sk"],
        tenant_id=item["tenant_id"],
        room_id=item["room_id"],
        room_name=item["room_name"],
        meeting_id=item["meeting_id"],
        status=Status(item["status"]),
        origin=item["origin"],
        created_at=_moment(item["created_at"]),
        started_at=_moment(item["started_at"]),
        cloudflare_recording_id=item.get("cloudflare_id"),
        stop_requested_at=_time(item.get("stop_requested_at")),
        stopped_at=_time(item.get("stopped_at")),
        duration_seconds=_whole(item.get("duration_seconds")),
        archived_at=_time(item.get("archived_at")),
        file=_file(file) if file else None,
        archive=_archive(item.get("archive")),
        archive_error=Failure(**item["archive_error"]) if item.get("archive_error") else None,
        archive_attempt=int(item.get("archive_attempt", 0)),
        deleted_at=_time(item.get("deleted_at")),
        failure=Failure(**failure) if failure else None,
        partial=item.get("partial", False),
        stalled=item.get("stalled", False),
        attempt=int(item["attempt"]),
        # Before these were counted, attempts had no end.
        automatic_attempts=int(item.get("automatic_attempts", 1)),
        held=_held(item["held"]) if item.get("held") else None,
        recovered_at=_time(item.get("recovered_at")),
        delivery_key=item.get("delivery_key"),
        missing_since=_time(item.get("missing_since")),
        progress=_progress(progress) if progress else None,
        history=tuple(
            Change(Status(change["status"]), _moment(change["at"]), change["cause"]) for change in item["history"]
        ),
        version=int(item["version"]),
    )


def _file(item: Item) -> StoredFile:
    return StoredFile(**item | {"size_bytes": int(item["size_bytes"])})


def _held(item: Item) -> HeldFile:
    return HeldFile(_file(item["file"]), _whole(item.get("duration_seconds")))


def _progress(item: Item) -> Progress:
    return Progress(
        step=item["step"],
        attempt=int(item["attempt"]),
        bytes_done=_whole(item.get("bytes_done")),
        bytes_total=_whole(item.get("bytes_total")),
        next_step_due=_time(item.get("next_step_due")),
        stuck_after=_time(item.get("stuck_after")),
    )


def _tallies(recording: Recording, counters: Mapping[str, int]) -> list[Item]:
    """What a change adds to the tallies of the recording's day: the tenant's, and the room's."""
    if not counters:
        return []
    names = {f"#{name}": name for name in counters}
    change = "ADD " + ", ".join(f"#{name} :{name}" for name in counters)
    values = {f":{name}": amount for name, amount in counters.items()}
    kinds = ("DAY", f"DAY#{recording.room_id}")
    keys = [_key(_partition(recording.tenant_id, kind), day_of(recording.created_at)) for kind in kinds]
    return [_update(key, change, None, values, names) for key in keys]


def _ulid_floor(at: datetime) -> str:
    """The first 10 characters of a ULID made at `at`: its 48-bit time in Crockford's base 32 (the ULID spec)."""
    rest = max(0, int(at.timestamp() * 1000))
    text = ""
    for _ in range(10):
        rest, digit = divmod(rest, 32)
        text = CROCKFORD[digit] + text
    return text


def _ulid_day(recording_id: str) -> str:
    """The day that a recording's id tells."""
    milliseconds = 0
    for digit in recording_id[4:14]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(digit)
    return day_of(datetime.fromtimestamp(milliseconds / 1000, UTC))


def recording_key(recording: Recording) -> Key:
    """Where a recording lies, as it was read: one that was deleted or came back since then lies elsewhere."""
    return _key(_home(recording), recording.id)


def _home(recording: Recording) -> str:
    """The partition that a recording lives in."""
    return _partition(recording.tenant_id, "TRASH" if recording.deleted_at else "REC")


def _opened_or_closed(before: Recording | None, after: Recording) -> list[Item]:
    """What a change does to the list of recordings that are still being worked on."""
    was, now = before is not None and before.open, after.open
    if was == now:
        return []
    if not now:
        return [{"Delete": {"TableName": TABLE, "Key": _key(OPEN, after.id)}}]
    return [{"Put": {"TableName": TABLE, "Item": _typed({"pk": OPEN, "sk": after.id, "tenant_id": after.tenant_id})}}]


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Ids from `low` (included) to `high` (excluded); both are shorter than an id, so no id equals them."""

    low: str
    high: str

    @classmethod
    def of(cls, only: Filter) -> "_Bounds":
        low, high = "rec_", "rec_~"
        if only.created_after is not None:
            whole = only.created_after.replace(microsecond=0)
            low = "rec_~" if whole > LATEST else f"rec_{_ulid_floor(whole + timedelta(seconds=1))}"
        if only.created_before is not None:
            whole = only.created_before.replace(microsecond=0)
            if whole <= LATEST:
                high = f"rec_{_ulid_floor(whole + timedelta(seconds=whole != only.created_before))}"
        return cls(low, max(low, high))

    def within(self, newest: str, oldest: str) -> "_Bounds":
        """The part of it that lies in the days from `oldest` to `newest`, both included."""
        first = f"rec_{_ulid_floor(_midnight(oldest))}"
        end = f"rec_{_ulid_floor(_midnight(newest) + timedelta(days=1))}"
        low = max(self.low, first)
        return _Bounds(low, max(low, min(self.high, end)))

    def cuts(self, day: str) -> bool:
        """Whether only a part of the day lies within."""
        whole = _Bounds("rec_", "rec_~").within(day, day)
        return self.within(day, day) != whole


@dataclass(frozen=True, slots=True)
class _Day:
    """How many recordings of a day there are, and how many of them are asked for."""

    day: str
    total: int
    wanted: int


def _spans(days: Sequence[_Day], wanted: int, *, exact: bool) -> Iterator[tuple[str, str]]:
    """Runs of days to read with one Query each, as (newest, oldest), until they hold what is wanted.

    Days that lie close are read together: a Query that reads a few recordings too many is cheaper than another Query.
    `exact` is false where the first day is read from its middle on, so that it holds an unknown number.
    """
    held, at = 0, 0
    while at < len(days):
        begin, unwanted = at, 0
        while True:
            held += days[at].wanted if exact or at else 0
            unwanted += days[at].total - days[at].wanted
            at += 1
            if at == len(days) or held >= wanted or unwanted > READ_TOO_MANY:
                break
        yield days[begin].day, days[at - 1].day


def recording_of(image: Mapping[str, Any]) -> Recording | None:
    """The recording in a DynamoDB stream's image of an item, or None when the item is something else."""
    item = _plain(image)
    # Exactly three: a room may be called REC, and its partitions end like that too. A tenant's "#" is quoted.
    kind, _, last = [*item["pk"].split("#"), "", ""][:3] if item["pk"].count("#") == 2 else ("", "", "")
    return _recording(item) if kind == "T" and last in {"REC", "TRASH"} else None


class DynamoRecordings:
    """Implements ports.Recordings."""

    def add(self, recording: Recording, *, nonce: str | None) -> None:
        actions = {"recording": _put(_recording_item(recording), "attribute_not_exists(pk)")}
        if recording.cloudflare_recording_id is not None:
            link = {
                "pk": f"CLOUDFLARE#{recording.cloudflare_recording_id}",
                "sk": LINK,
                "tenant_id": recording.tenant_id,
                "recording_id": recording.id,
            }
            actions["link"] = _put(link, "attribute_not_exists(pk)")
        if recording.status is Status.RECORDING:
            actions["room"] = self._taken(recording, nonce)
        others = [
            self._listed(recording),
            *_tallies(recording, difference(None, recording)),
            *_opened_or_closed(None, recording),
        ]
        try:
            _transact([*actions.values(), *others])
        except _Refused as refusal:
            refused = {name: refusal.refused[at] for at, name in enumerate(actions) if at in refusal.refused}
            if {"recording", "link"} & refused.keys():
                raise ConcurrentUpdate("this Cloudflare recording is known already") from refusal
            room = refused["room"]
            if room is None:
                raise RoomNotFound("there is no such room") from refusal
            raise RoomAlreadyRecording("the room is already being recorded", blocker=_blocker(room)) from refusal

    def _listed(self, recording: Recording) -> Item:
        pk = _partition(recording.tenant_id, f"LIST#{recording.room_id}")
        return {"Put": {"TableName": TABLE, "Item": _typed({"pk": pk, "sk": recording.id})}}

    def _unlisted(self, recording: Recording) -> Item:
        pk = _partition(recording.tenant_id, f"LIST#{recording.room_id}")
        return {"Delete": {"TableName": TABLE, "Key": _key(pk, recording.id)}}

    def _taken(self, recording: Recording, nonce: str | None) -> Item:
        change = "SET active_recording_id = :id REMOVE lease_nonce, lease_until"
        free = "attribute_exists(pk) AND attribute_not_exists(active_recording_id)"
        key = _key(_partition(recording.tenant_id, "ROOM"), recording.room_id)
        if nonce is not None:
            return _update(key, change, f"{free} AND lease_nonce = :nonce", {":id": recording.id, ":nonce": nonce})
        return _update(
            key,
            change,
            f"{free} AND (attribute_not_exists(lease_until) OR lease_until <= :now)",
            {":id": recording.id, ":now": _text(datetime.now(UTC).replace(microsecond=0))},
        )

    def get(self, tenant_id: str, recording_id: str) -> Recording:
        item = _get(_partition(tenant_id, "REC"), recording_id)
        if item is None:
            raise RecordingNotFound("there is no such recording")
        return _recording(item)

    def get_including_deleted(self, tenant_id: str, recording_id: str) -> Recording:
        # The first place again at the end: it may have come back between the two looks.
        for kind in ("REC", "TRASH", "REC"):
            item = _get(_partition(tenant_id, kind), recording_id)
            if item is not None:
                return _recording(item)
        raise RecordingNotFound("there is no such recording")

    def save(self, before: Recording, after: Recording) -> None:
        if after is before:
            return
        guard = "version = :version AND #status = :status"
        values = {":version": before.version, ":status": before.status.value}
        names = {"#status": "status"}
        if _home(before) == _home(after):
            actions = [_put(_recording_item(after), guard, values, names)]
        else:
            leave = _delete(_key(_home(before), before.id), guard, values, names)
            listing = self._unlisted(after) if after.deleted_at else self._listed(after)
            actions = [leave, _put(_recording_item(after), "attribute_not_exists(pk)"), listing]
        actions += [*_tallies(before, difference(before, after)), *_opened_or_closed(before, after)]
        freed: list[Item] = []
        if before.status is Status.RECORDING and after.status is not Status.RECORDING:
            freed = [
                _update(
                    _key(_partition(before.tenant_id, "ROOM"), before.room_id),
                    "REMOVE active_recording_id",
                    "active_recording_id = :id",
                    {":id": before.id},
                )
            ]
        try:
            _transact([*actions, *freed])
        except _Refused as refusal:
            if 0 not in refusal.refused and freed:
                # The room no longer names this recording; the recording's own end is stored all the same.
                try:
                    _transact(actions)
                except _Refused as again:
                    raise ConcurrentUpdate(f"recording {before.id} was changed by somebody else") from again
                return
            raise ConcurrentUpdate(f"recording {before.id} was changed by somebody else") from refusal

    def put_back(self, recording: Recording) -> None:
        """Store a deleted recording again that was removed too early, unless it is there; it expires as is set now."""
        actions = [_put(_recording_item(recording), "attribute_not_exists(pk)"), *_opened_or_closed(None, recording)]
        try:
            _transact(actions)
        except _Refused:
            # Another repeat has put it back.
            return

    def note_progress(self, recording: Recording, progress: Progress | None, *, stalled: bool = False) -> None:
        try:
            _transact(
                [
                    _update(
                        _key(_home(recording), recording.id),
                        "SET progress = :progress, stalled = :stalled",
                        # A recording of the first release may lack the number of its move.
                        "#status = :status AND attempt = :attempt"
                        " AND (attribute_not_exists(archive_attempt) OR archive_attempt = :archive_attempt)",
                        {
                            ":archive_attempt": recording.archive_attempt,
                            ":progress": _progress_item(progress),
                            ":stalled": stalled,
                            ":status": recording.status.value,
                            ":attempt": recording.attempt,
                        },
                        {"#status": "status"},
                    )
                ]
            )
        except _Refused:
            # It moved on: progress of a step that is over interests nobody.
            return

    def note_missing(self, recording: Recording, since: datetime | None) -> None:
        # Of an item of the first release the attribute is absent; where nothing is noted it is NULL.
        before = "missing_since = :before"
        if recording.missing_since is None:
            before = f"(attribute_not_exists(missing_since) OR {before})"
        try:
            _transact(
                [
                    _update(
                        _key(_home(recording), recording.id),
                        "SET missing_since = :since",
                        f"version = :version AND #status = :status AND {before}",
                        {
                            ":since": _text(since),
                            ":before": _text(recording.missing_since),
                            ":version": recording.version,
                            ":status": recording.status.value,
                        },
                        {"#status": "status"},
                    )
                ]
            )
        except _Refused:
            # What was seen was of a recording that is another by now.
            return

    def add_progress(self, tenant_id: str, recording_id: str, *, attempt: int, copied: int) -> None:
        try:
            recording = self.get_including_deleted(tenant_id, recording_id)
            _transact(
                [
                    _update(
                        _key(_home(recording), recording.id),
                        "SET progress.bytes_done = progress.bytes_done + :copied",
                        "progress.attempt = :attempt AND attribute_type(progress.bytes_done, :number)",
                        {":copied": copied, ":attempt": attempt, ":number": "N"},
                    )
                ]
            )
        except (_Refused, RecordingNotFound, Throttled):
            # It moved on; or the table is busy, and a copy does not fail for want of being told of.
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
        after = decode_cursor("recordings", cursor) if cursor is not None else None
        if only.room_id is not None and not is_room_id(only.room_id):
            return CountedPage([], 0)
        bounds = _Bounds.of(only)
        days = self._days(tenant_id, only, bounds)
        total, skip = sum(day.wanted for day in days), offset
        found: list[Recording] = []
        start = 0
        if after is not None:
            # Ids before the cursor's day are older; the day itself is read from the cursor on.
            start = next((at for at, day in enumerate(days) if day.day <= _ulid_day(after)), len(days))
            bounds = _Bounds(bounds.low, max(bounds.low, min(bounds.high, after)))
        else:
            while start < len(days) and skip >= days[start].wanted:
                skip -= days[start].wanted
                start += 1
        # One more than asked for tells whether there is a next page.
        for newest, oldest in _spans(days[start:], skip + limit + 1, exact=after is None):
            found += self._read(tenant_id, only, bounds.within(newest, oldest), skip + limit + 1 - len(found))
            if len(found) > skip + limit:
                break
        items = found[skip : skip + limit]
        more = len(found) > skip + limit
        return CountedPage(items, total, encode_cursor("recordings", items[-1].id) if more and items else None)

    def _days(self, tenant_id: str, only: Filter, bounds: _Bounds) -> list[_Day]:
        """The days on which something is asked for, newest first, counted exactly."""
        pk = _partition(tenant_id, "DAY" if only.room_id is None else f"DAY#{only.room_id}")
        if not _fits_partition(pk):
            return []
        names = [f"status_{status.value}" for status in only.statuses] or ["total"]
        days = []
        for item in self._query(pk, "0", "~"):
            wanted = sum(int(item.get(name, 0)) for name in names)
            if wanted and bounds.cuts(item["sk"]):
                # At most two days are cut, where the times that were asked for lie.
                wanted = len(self._read(tenant_id, only, bounds.within(item["sk"], item["sk"]), None))
            if wanted:
                days.append(_Day(item["sk"], int(item.get("total", 0)), wanted))
        return days

    def _read(self, tenant_id: str, only: Filter, bounds: _Bounds, most: int | None) -> list[Recording]:
        """The newest `most` recordings within bounds that are asked for (None: all of them)."""
        statuses = {status.value for status in only.statuses}
        found: list[Recording] = []
        if bounds.low >= bounds.high:
            return found
        if only.room_id is None:
            items = self._query(_partition(tenant_id, "REC"), bounds.low, bounds.high, most, statuses)
            for item in items:
                # `high` may be a cursor, and that one has been shown.
                if item["sk"] != bounds.high:
                    found.append(_recording(item))
                if len(found) == most:
                    break
            return found
        ids = (
            item["sk"] for item in self._query(_partition(tenant_id, f"LIST#{only.room_id}"), bounds.low, bounds.high)
        )
        for some in batched((one for one in ids if one != bounds.high), 50, strict=False):
            recordings = self._batch(_partition(tenant_id, "REC"), some)
            for one in some:
                # One that was deleted between the two reads is in neither.
                if one in recordings and (not statuses or recordings[one]["status"] in statuses):
                    found.append(_recording(recordings[one]))
                if len(found) == most:
                    return found
        return found

    def _query(
        self,
        pk: str,
        low: str,
        high: str,
        most: int | None = None,
        statuses: Collection[str] = (),
        rooms: RoomRange = EVERY_ROOM,
    ) -> Iterator[Item]:
        """Items of a partition with sort keys from `low` to `high`, greatest first; few that are not of these rooms."""
        values: Item = {":pk": pk, ":low": low, ":high": high}
        request: Item = {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ScanIndexForward": False,
            "ConsistentRead": True,
        }
        if statuses:
            names = [f":s{number}" for number in range(len(statuses))]
            values |= dict(zip(names, statuses, strict=True))
            request["FilterExpression"] = f"#status IN ({', '.join(names)})"
            request["ExpressionAttributeNames"] = {"#status": "status"}
        elif not rooms.whole:
            # What DynamoDB leaves out need not be read here, and reading is what takes the time.
            values[":first"], last = rooms.ids
            request["FilterExpression"] = "room_id >= :first"
            if rooms.high is not None:
                values |= {":last": last, ":colon": ":"}
                request["FilterExpression"] += " AND (room_id <= :last OR contains(room_id, :colon))"
        elif most is not None:
            request["Limit"] = most + 1
        request["ExpressionAttributeValues"] = _typed(values)
        while True:
            with translated_errors():
                answer = _client.query(**request)
            yield from (_plain(item) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _batch(self, pk: str, ids: Sequence[str]) -> dict[str, Item]:
        """The items of a partition with these sort keys; at most 100 (BatchGetItem's limit)."""
        return {item["sk"]: item for item in _batch_get([_key(pk, one) for one in ids])}

    def find_by_cloudflare_recording_id(self, cloudflare_recording_id: str) -> Recording | None:
        link = _get(f"CLOUDFLARE#{cloudflare_recording_id}", LINK)
        if link is None:
            return None
        try:
            return self.get_including_deleted(link["tenant_id"], link["recording_id"])
        except RecordingNotFound:
            return None

    def list_unfinished(self) -> Iterator[Recording]:
        # In batches: a tenant may have archived a hundred thousand recordings at once, and each of them is open.
        for listed in batched(self._query(OPEN, "rec_", "rec_~"), 100, strict=False):
            live = _batch_get([_key(_partition(item["tenant_id"], "REC"), item["sk"]) for item in listed])
            recordings = {(item["tenant_id"], item["sk"]): _recording(item) for item in live}
            for item in listed:
                try:
                    recording = recordings.get((item["tenant_id"], item["sk"])) or self.get_including_deleted(
                        item["tenant_id"], item["sk"]
                    )
                except RecordingNotFound:
                    # Purged while something was still to happen to it.
                    _delete_item(_key(OPEN, item["sk"]))
                    continue
                if recording.open:
                    yield recording

    def list_all(self, tenant_id: str, rooms: RoomRange = EVERY_ROOM) -> Iterator[Recording]:
        for kind in ("REC", "TRASH"):
            for item in self._query(_partition(tenant_id, kind), "rec_", "rec_~", rooms=rooms):
                if rooms.holds(item["room_id"]):
                    yield _recording(item)

    def find_by_cloudflare_recording_ids(self, cloudflare_ids: Sequence[str]) -> Mapping[str, Recording | None]:
        keys = [_key(f"CLOUDFLARE#{one}", LINK) for one in dict.fromkeys(cloudflare_ids) if _fits(one)]
        links = {item["pk"].removeprefix("CLOUDFLARE#"): item for item in _batch_get(keys)}
        live = _batch_get([_key(_partition(link["tenant_id"], "REC"), link["recording_id"]) for link in links.values()])
        recordings = {(item["tenant_id"], item["sk"]): _recording(item) for item in live}
        found: dict[str, Recording | None] = {}
        for capture_id, link in links.items():
            recording = recordings.get((link["tenant_id"], link["recording_id"]))
            try:
                found[capture_id] = recording or self.get_including_deleted(link["tenant_id"], link["recording_id"])
            except RecordingNotFound:
                found[capture_id] = None
        return found

    def store_task_token(self, recording: Recording, token: str) -> None:
        store_task_token(recording, token)

    def pop_task_token(self, recording: Recording, *, only: str | None = None) -> str | None:
        return pop_task_token(recording, only=only)
