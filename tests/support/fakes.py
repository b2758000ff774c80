"""The ports in memory. The stores pass the same tests as DynamoDB's adapter: unit/adapters/test_store_contract.py."""

import hashlib
import json
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Self

from ulid import ULID

from recordings.adapters.dynamodb.cursors import decode_cursor, encode_cursor
from recordings.domain.access import Access
from recordings.domain.archive import Tier
from recordings.domain.errors import (
    ConcurrentUpdate,
    IdempotencyKeyReused,
    InfrastructureError,
    MeetingInUse,
    ProviderNotFound,
    ProviderRefused,
    ProviderThrottled,
    RecordingNotFound,
    RequestInProgress,
    RoomAlreadyRecording,
    RoomIsRecording,
    RoomNotFound,
    SourceChanged,
    SourceUnavailable,
    Throttled,
)
from recordings.domain.etag import of_parts
from recordings.domain.lifecycle import Status
from recordings.domain.listing import ListedRecording
from recordings.domain.meeting import MeetingOwnership
from recordings.domain.objects import (
    DownloadUrl,
    ListedObject,
    ObjectHead,
    RestoreStatus,
    UnfinishedUpload,
    UploadedPart,
)
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.purge import ItemKind, StoreItem
from recordings.domain.recording import Progress, Recording
from recordings.domain.room import Room
from recordings.domain.room_range import ALL_ROOMS, RoomRange
from recordings.domain.stored_file import Store
from recordings.domain.sync import FULL_SYNC_INTERVAL, SyncItem, SyncWindow
from recordings.domain.tally import day_of, difference
from recordings.domain.transfer import SourceFile, stream_offsets
from recordings.ports.repositories import CountedPage, Filter, Page
from recordings.ports.storage import Content, ObjectStore
from recordings.ports.system import Clock
from tests.support.builders import NOON, WORKFLOW

type RoomKey = tuple[str, str]


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


def real_time() -> datetime:
    return datetime.now(UTC)


class CountingIds:
    """Ids that sort by time, then by the order of the calls."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, at: datetime) -> str:
        with self._lock:
            self._count += 1
            return f"rec_{str(ULID.from_datetime(at))[:10]}{self._count:016d}"


# ---------------------------------------------------------------- the store


class Memory:
    """The data of the repositories below. One lock makes every change atomic."""

    def __init__(self, clock: Clock = real_time) -> None:
        self.clock = clock
        # Who makes every change.
        self.actor = WORKFLOW
        self.lock = threading.RLock()
        self.rooms: dict[RoomKey, Room] = {}
        self.meetings: dict[str, MeetingOwnership] = {}
        # The names of deleted rooms.
        self.last_names: dict[RoomKey, str] = {}
        # Every tenant that ever had a room, and the time of its last audit.
        self.tenants: dict[str, datetime | None] = {}
        # Nonce, end, and the meeting that was created under the lock.
        self.claims: dict[RoomKey, tuple[str, datetime, str | None]] = {}
        self.recordings: dict[tuple[str, str], Recording] = {}
        self.links: dict[str, tuple[str, str]] = {}
        # By tenant, room (None: all its rooms) and day.
        self.tallies: dict[tuple[str, str | None, str], Counter[str]] = {}
        self.tokens: dict[tuple[str, str], str] = {}
        self.token_attempts: dict[tuple[str, str], int] = {}
        self.responses: dict[tuple[str, str], dict[str, Any]] = {}
        self.retry_queue: dict[str, SyncItem] = {}

    def add_to_retry_queue(self, item: SyncItem) -> None:
        self.retry_queue[retry_key(item)] = item

    def count(self, recording: Recording, counters: Mapping[str, int]) -> None:
        for room_id in (None, recording.room_id):
            key = recording.tenant_id, room_id, day_of(recording.created_at)
            tally = self.tallies.setdefault(key, Counter())
            for name, amount in counters.items():
                tally[name] += amount

    def purge(self, recording: Recording) -> None:
        """Delete a recording as the end of its retention does: its Cloudflare link stays."""
        with self.lock:
            del self.recordings[recording.tenant_id, recording.id]

    def blocker(self, room: Room) -> Recording | None:
        return self.recordings.get((room.tenant_id, room.active_recording_id or ""))


def _leased(room: Room, now: datetime) -> bool:
    return room.lease_until is not None and room.lease_until > now


class MemoryRooms:
    """Implements ports.repositories.Rooms."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def add(self, room: Room, *, adopted: bool = False, sync_meeting: bool = False) -> Room:
        room = replace(room, changed_by=self._memory.actor)
        with self._memory.lock:
            if (room.tenant_id, room.id) in self._memory.rooms:
                raise ConcurrentUpdate
            known = self.find_meeting_ownership(room.meeting_id)
            if (known is not None and not adopted) or known != self._memory.meetings.get(room.meeting_id):
                raise MeetingInUse
            taken = MeetingOwnership.begin(room, adopted=adopted) if known is None else known.taken_by(room)
            stored = replace(room, active_recording_id=None, lease_nonce=None, lease_until=None)
            self._memory.rooms[room.tenant_id, room.id] = stored
            self._memory.claims.pop((room.tenant_id, room.id), None)
            self._memory.tenants.setdefault(room.tenant_id, None)
            self._memory.meetings[room.meeting_id] = taken
            if adopted or sync_meeting:
                self._memory.add_to_retry_queue(SyncItem.of_meeting(room.meeting_id))
        return room

    def acquire_creation_lock(
        self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime
    ) -> str | None:
        with self._memory.lock:
            held = self._memory.claims.get((tenant_id, room_id))
            if held is not None and held[2] is not None:
                return held[2]
            if held is not None and held[1] > now:
                raise Throttled
            self._memory.claims[tenant_id, room_id] = nonce, until, None
            return None

    def note_meeting(self, tenant_id: str, room_id: str, *, nonce: str, meeting_id: str) -> None:
        with self._memory.lock:
            held = self._memory.claims.get((tenant_id, room_id))
            if held is not None and held[0] == nonce:
                self._memory.claims[tenant_id, room_id] = nonce, held[1], meeting_id

    def release_creation_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        with self._memory.lock:
            held = self._memory.claims.get((tenant_id, room_id))
            if held is not None and held[0] == nonce:
                del self._memory.claims[tenant_id, room_id]

    def get(self, tenant_id: str, room_id: str) -> Room:
        with self._memory.lock:
            try:
                return self._memory.rooms[tenant_id, room_id]
            except KeyError:
                raise RoomNotFound from None

    def find_last_name(self, tenant_id: str, room_id: str) -> str | None:
        with self._memory.lock:
            room = self._memory.rooms.get((tenant_id, room_id))
            return room.name if room is not None else self._memory.last_names.get((tenant_id, room_id))

    def save(self, before: Room, after: Room, *, lease_nonce: str | None = None) -> Room:
        after = replace(after, changed_by=self._memory.actor)
        key = before.tenant_id, before.id
        with self._memory.lock:
            now = self._memory.rooms.get(key)
            if (
                now is None
                or now.version != before.version
                or (lease_nonce is not None and now.lease_nonce != lease_nonce)
            ):
                raise ConcurrentUpdate
            if after.meeting_id != before.meeting_id:
                known = self._memory.meetings.get(after.meeting_id)
                taken = MeetingOwnership.begin(after, adopted=True) if known is None else known.taken_by(after)
                self._release(before, after.updated_at)
                self._memory.meetings[after.meeting_id] = taken
                self._memory.add_to_retry_queue(SyncItem.of_meeting(after.meeting_id))
            elif after.record_on_start is not before.record_on_start:
                self._memory.add_to_retry_queue(SyncItem.of_meeting(after.meeting_id))
            self._memory.rooms[key] = replace(
                after,
                created_at=now.created_at,
                active_recording_id=now.active_recording_id,
                lease_nonce=now.lease_nonce if lease_nonce is None else None,
                lease_until=now.lease_until if lease_nonce is None else None,
            )
        return after

    def _release(self, room: Room, at: datetime) -> None:
        held = self._memory.meetings.get(room.meeting_id)
        if held is not None:
            self._memory.meetings[room.meeting_id] = held.released_by(room, at=at)
        self._memory.add_to_retry_queue(SyncItem.of_meeting(room.meeting_id))

    def remove(self, room: Room, *, lease_nonce: str | None = None) -> None:
        with self._memory.lock:
            now = self.get(room.tenant_id, room.id)
            if now.version != room.version:
                raise ConcurrentUpdate
            held = _leased(now, self._memory.clock()) if lease_nonce is None else now.lease_nonce != lease_nonce
            if now.active_recording_id is not None or held:
                raise RoomIsRecording(blocker=self._memory.blocker(now))
            del self._memory.rooms[room.tenant_id, room.id]
            self._release(now, self._memory.clock())
            self._memory.last_names[room.tenant_id, room.id] = now.name

    def list(self, tenant_id: str, *, limit: int, cursor: str | None = None) -> Page[Room]:
        after = decode_cursor("rooms", cursor).encode() if cursor is not None else b""
        with self._memory.lock:
            found = [room for (tenant, _), room in self._memory.rooms.items() if tenant == tenant_id]
        rest = [room for room in sorted(found, key=lambda room: room.id.encode()) if room.id.encode() > after]
        return Page(rest[:limit], encode_cursor("rooms", rest[limit - 1].id) if len(rest) > limit else None)

    def acquire_lock(self, tenant_id: str, room_id: str, *, nonce: str, now: datetime, until: datetime) -> Room:
        with self._memory.lock:
            room = self.get(tenant_id, room_id)
            held = _leased(room, now) and room.lease_nonce != nonce
            if room.active_recording_id is not None or held:
                raise RoomAlreadyRecording(blocker=self._memory.blocker(room))
            room = replace(room, lease_nonce=nonce, lease_until=until)
            self._memory.rooms[tenant_id, room_id] = room
            return room

    def release_lock(self, tenant_id: str, room_id: str, *, nonce: str) -> None:
        with self._memory.lock:
            room = self._memory.rooms.get((tenant_id, room_id))
            if room is not None and room.lease_nonce == nonce:
                self._memory.rooms[tenant_id, room_id] = replace(room, lease_nonce=None, lease_until=None)

    def find_meeting_ownership(self, meeting_id: str) -> MeetingOwnership | None:
        with self._memory.lock:
            return self._memory.meetings.get(meeting_id)

    def find_by_meeting_id(self, meeting_id: str) -> Room | None:
        with self._memory.lock:
            ownership = self._memory.meetings.get(meeting_id)
            if ownership is None or ownership.holder is None:
                return None
            room = self._memory.rooms.get((ownership.tenant_id, ownership.holder.room_id))
            return room if room is not None and room.meeting_id == meeting_id else None


def _moved(now: Recording, then: Recording) -> bool:
    """Return whether a recording was deleted or undeleted since it was read."""
    return (now.deleted_at is None) != (then.deleted_at is None)


def _fits(recording: Recording, only: Filter) -> bool:
    return (
        recording.deleted_at is None
        and only.room_id in {None, recording.room_id}
        and (not only.statuses or recording.status in only.statuses)
        and (only.created_after is None or recording.created_at > only.created_after)
        and (only.created_before is None or recording.created_at < only.created_before)
    )


class MemoryTenants:
    """Implements ports.repositories.Tenants."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def get_all(self) -> Mapping[str, datetime | None]:
        with self._memory.lock:
            return dict(self._memory.tenants)

    def note_audit(self, tenant_id: str, *, at: datetime) -> None:
        with self._memory.lock:
            self._memory.tenants[tenant_id] = at


class MemoryOpenFindings:
    """Implements ports.repositories.OpenFindings."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: dict[str, dict[str, datetime]] = {}

    def get_all(self, tenant_id: str) -> Mapping[str, datetime]:
        with self.lock:
            return dict(self.seen.get(tenant_id, {}))

    def add(self, tenant_id: str, names: Sequence[str], *, at: datetime) -> None:
        with self.lock:
            self.seen.setdefault(tenant_id, {}).update(dict.fromkeys(names, at))

    def remove(self, tenant_id: str, names: Sequence[str]) -> None:
        with self.lock:
            for name in names:
                self.seen.get(tenant_id, {}).pop(name, None)


class MemoryRecordings:
    """Implements ports.repositories.Recordings."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def add(self, recording: Recording, *, lease_nonce: str | None) -> Recording:
        key = recording.tenant_id, recording.id
        recording = recording.attributed_to(self._memory.actor, after=None)
        with self._memory.lock:
            if key in self._memory.recordings or recording.cloudflare_recording_id in self._memory.links:
                raise ConcurrentUpdate
            if recording.status is Status.RECORDING:
                self._take(recording, lease_nonce)
            self._memory.recordings[key] = recording
            self._memory.count(recording, difference(None, recording))
            if recording.cloudflare_recording_id is not None:
                self._memory.links[recording.cloudflare_recording_id] = key
        return recording

    def _take(self, recording: Recording, nonce: str | None) -> None:
        room = self._memory.rooms.get((recording.tenant_id, recording.room_id))
        if room is None:
            raise RoomNotFound
        own = not _leased(room, self._memory.clock()) if nonce is None else room.lease_nonce == nonce
        if room.active_recording_id is not None or not own:
            raise RoomAlreadyRecording(blocker=self._memory.blocker(room))
        self._memory.rooms[room.tenant_id, room.id] = replace(
            room, active_recording_id=recording.id, lease_nonce=None, lease_until=None
        )

    def get(self, tenant_id: str, recording_id: str) -> Recording:
        recording = self.get_including_deleted(tenant_id, recording_id)
        if recording.deleted_at is not None:
            raise RecordingNotFound
        return recording

    def get_including_deleted(self, tenant_id: str, recording_id: str) -> Recording:
        with self._memory.lock:
            try:
                return self._memory.recordings[tenant_id, recording_id]
            except KeyError:
                raise RecordingNotFound from None

    def save(self, before: Recording, after: Recording) -> Recording:
        if after is before:
            return after
        after = after.attributed_to(self._memory.actor, after=before)
        key = before.tenant_id, before.id
        with self._memory.lock:
            now = self._memory.recordings.get(key)
            if now is None or (now.version, now.status) != (before.version, before.status) or _moved(now, before):
                raise ConcurrentUpdate
            self._memory.recordings[key] = after
            self._memory.count(before, difference(before, after))
            room = self._memory.rooms.get((before.tenant_id, before.room_id))
            if (
                before.status is Status.RECORDING
                and after.status is not Status.RECORDING
                and room is not None
                and room.active_recording_id == before.id
            ):
                self._memory.rooms[room.tenant_id, room.id] = replace(room, active_recording_id=None)
        return after

    def put_back(self, recording: Recording) -> None:
        with self._memory.lock:
            self._memory.recordings.setdefault((recording.tenant_id, recording.id), recording)

    def add_progress(self, tenant_id: str, recording_id: str, *, attempt: int, copied: int) -> None:
        with self._memory.lock:
            found = self._memory.recordings.get((tenant_id, recording_id))
            progress = found.progress if found else None
            if found is None or progress is None or progress.attempt != attempt or progress.bytes_done is None:
                return
            if progress.bytes_total is not None and progress.bytes_done + copied > progress.bytes_total:
                return
            noted = replace(progress, bytes_done=progress.bytes_done + copied)
            self._memory.recordings[tenant_id, recording_id] = replace(found, progress=noted)

    def note_progress(self, recording: Recording, progress: Progress | None, *, stalled: bool = False) -> None:
        key = recording.tenant_id, recording.id
        with self._memory.lock:
            now = self._memory.recordings.get(key)
            if now is None or _moved(now, recording):
                return
            same = (now.status, now.attempt, now.archive_attempt)
            if same == (recording.status, recording.attempt, recording.archive_attempt):
                self._memory.recordings[key] = replace(now, progress=progress, stalled=stalled)

    def note_missing(self, recording: Recording, since: datetime | None) -> None:
        key = recording.tenant_id, recording.id
        with self._memory.lock:
            now = self._memory.recordings.get(key)
            if now is None or _moved(now, recording):
                return
            seen = recording.version, recording.status, recording.missing_since
            if (now.version, now.status, now.missing_since) == seen:
                self._memory.recordings[key] = replace(now, missing_since=since)

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
        with self._memory.lock:
            mine = [one for (tenant, _), one in self._memory.recordings.items() if tenant == tenant_id]
        found = sorted(
            (one for one in mine if _fits(one, only)), key=lambda one: (one.created_at, one.id), reverse=True
        )
        rest = [one for one in found if after is None or one.id < after][offset:]
        further = encode_cursor("recordings", rest[limit - 1].id) if len(rest) > limit else None
        return CountedPage([ListedRecording.of(one) for one in rest[:limit]], len(found), further)

    def find_by_cloudflare_recording_id(self, cloudflare_recording_id: str) -> Recording | None:
        with self._memory.lock:
            key = self._memory.links.get(cloudflare_recording_id)
            return self._memory.recordings.get(key) if key else None

    def list_unfinished(self) -> Iterator[Recording]:
        with self._memory.lock:
            found = sorted(self._memory.recordings.values(), key=lambda one: one.id, reverse=True)
        return (one for one in found if one.unfinished)

    def list_all(self, tenant_id: str, rooms: RoomRange = ALL_ROOMS) -> Iterator[Recording]:
        with self._memory.lock:
            mine = [one for (tenant, _), one in self._memory.recordings.items() if tenant == tenant_id]
        mine = [one for one in mine if rooms.contains(one.room_id)]
        return iter(sorted(mine, key=lambda one: (one.deleted_at is None, one.id), reverse=True))

    def find_by_cloudflare_recording_ids(
        self, cloudflare_recording_ids: Sequence[str]
    ) -> Mapping[str, Recording | None]:
        with self._memory.lock:
            return {
                one: self.find_by_cloudflare_recording_id(one)
                for one in cloudflare_recording_ids
                if one in self._memory.links
            }

    def store_task_token(self, recording: Recording, token: str) -> None:
        with self._memory.lock:
            key = recording.tenant_id, recording.id
            if key not in self._memory.tokens or self._memory.token_attempts[key] <= recording.attempt:
                self._memory.tokens[key], self._memory.token_attempts[key] = token, recording.attempt

    def pop_task_token(self, recording: Recording, *, only: str | None = None) -> str | None:
        with self._memory.lock:
            key = recording.tenant_id, recording.id
            if only is not None and self._memory.tokens.get(key) != only:
                return None
            return self._memory.tokens.pop(key, None)


class MemoryAccessLog:
    """Implements ports.repositories.AccessLog, with one page for everything."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.entries: dict[tuple[str, str], list[Access]] = {}

    def note(self, recording: Recording, *, at: datetime, until: datetime, store: Store) -> None:
        entry = Access(actor=self._memory.actor, at=at, until=until, store=store)
        with self._memory.lock:
            self.entries.setdefault((recording.tenant_id, recording.id), []).insert(0, entry)

    def list(self, recording: Recording, *, limit: int, cursor: str | None = None) -> Page[Access]:
        with self._memory.lock:
            return Page(self.entries.get((recording.tenant_id, recording.id), [])[:limit], None)


class MemoryDownloadLinks:
    """Implements ports.repositories.DownloadLinks."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.noted: dict[tuple[str, str], datetime] = {}

    def note_expiry(self, recording: Recording, *, until: datetime) -> bool:
        key = recording.tenant_id, recording.id
        with self._memory.lock:
            now = self._memory.recordings.get(key)
            if now is None or _moved(now, recording) or now.file is None or recording.file is None:
                return False
            if now.file.store != "r2" or now.file.key != recording.file.key:
                return False
            self.noted[key] = max(until, self.noted.get(key, until))
            return True

    def find_latest_expiry(self, recording: Recording) -> datetime | None:
        with self._memory.lock:
            return self.noted.get((recording.tenant_id, recording.id))


class MemoryIdempotencyKeys:
    """Implements ports.repositories.IdempotencyKeys."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def reserve(self, tenant_id: str, key: str, *, fingerprint: str, now: datetime) -> Mapping[str, Any] | None:
        with self._memory.lock:
            kept = self._memory.responses.get((tenant_id, key))
            if kept is not None and kept["until"] > now:
                if kept.get("fingerprint") != fingerprint:
                    raise IdempotencyKeyReused
                if "answer" not in kept:
                    raise RequestInProgress
                received: Mapping[str, Any] = json.loads(kept["answer"])
                return received
            self._memory.responses[tenant_id, key] = {"fingerprint": fingerprint, "until": now + timedelta(seconds=60)}
            return None

    def store_response(self, tenant_id: str, key: str, *, response: Mapping[str, Any], now: datetime) -> None:
        with self._memory.lock:
            kept = self._memory.responses.setdefault((tenant_id, key), {})
            kept |= {"answer": json.dumps(response), "until": now + timedelta(hours=24)}

    def release(self, tenant_id: str, key: str) -> None:
        with self._memory.lock:
            self._memory.responses.pop((tenant_id, key), None)


# ---------------------------------------------------------------- the outside world


class Cloudflare:
    """Implements ports.provider.RecordingProvider: one recording at a time in a meeting, files for seven days."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.captured: dict[str, ProviderRecording] = {}
        self.meetings: list[str] = []
        self.recording_on_start: dict[str, bool] = {}
        self.page_size = 100
        # Whether the app's whole list names the meeting of a capture, or only its file's name hints at it.
        self.names_meetings = True
        # Our own bucket, when files are delivered into it, and what is delivered.
        self.bucket: MemoryObjectStore | None = None
        self.content = b""
        self.sessions_ended: dict[str, datetime] = {}
        # Captures that heed no stop.
        self.deaf: set[str] = set()
        self._folders: dict[str, str] = {}
        self._begun = 0

    def start(self, meeting_id: str, *, max_seconds: int | None, folder: str | None = None) -> ProviderRecording:
        opened = self._begin(meeting_id, auto=False)
        if self.bucket is None or folder is None:
            return opened
        self._folders[opened.cloudflare_recording_id] = f"{folder}/{opened.cloudflare_recording_id}.mp4"
        return replace(opened, delivery_key=self._folders[opened.cloudflare_recording_id])

    def stop(self, cloudflare_recording_id: str) -> ProviderRecording:
        with self.lock:
            provider_recording = self.get(cloudflare_recording_id)
            if cloudflare_recording_id in self.deaf and provider_recording.status.running:
                raise ProviderRefused("it will not stop")
            return self.end(cloudflare_recording_id) if provider_recording.status.running else provider_recording

    def get(self, cloudflare_recording_id: str) -> ProviderRecording:
        with self.lock:
            try:
                return self.captured[cloudflare_recording_id]
            except KeyError:
                raise ProviderNotFound from None

    def find_active(self, meeting_id: str) -> ProviderRecording | None:
        with self.lock:
            # It does not tell why the capture began.
            running = [one for one in self.running() if one.meeting_id == meeting_id and not one.tracks]
            return replace(running[0], auto_started=None) if running else None

    def list_by_meeting(self, meeting_id: str) -> Iterator[ProviderRecording]:
        return (_as_listed(one) for one in self._newest_first() if one.meeting_id == meeting_id)

    def list_page(self, number: int) -> tuple[Sequence[ProviderRecording], bool]:
        every, end = self._newest_first(), number * self.page_size
        rows = [_as_listed(one) for one in every[end - self.page_size : end]]
        if not self.names_meetings:
            rows = [replace(one, meeting_id=None, likely_meeting_id=one.meeting_id) for one in rows]
        return rows, end < len(every)

    def _newest_first(self) -> list[ProviderRecording]:
        """Of those that began in the same second the later one is the newer."""
        with self.lock:
            return sorted(self.captured.values(), key=lambda one: one.invoked_at)[::-1]

    def find_session_end(self, session_id: str) -> datetime | None:
        return self.sessions_ended.get(session_id)

    def create_meeting(self, title: str, *, record_on_start: bool) -> str:
        with self.lock:
            self.meetings.append(f"made_{len(self.meetings) + 1}")
            self.recording_on_start[self.meetings[-1]] = record_on_start
            return self.meetings[-1]

    def get_record_on_start(self, meeting_id: str) -> bool | None:
        with self.lock:
            if meeting_id == "nowhere":
                raise ProviderNotFound
            return self.recording_on_start.get(meeting_id, False)

    def set_record_on_start(self, meeting_id: str, *, record_on_start: bool) -> None:
        with self.lock:
            if meeting_id == "nowhere":
                raise ProviderNotFound
            self.recording_on_start[meeting_id] = record_on_start

    # What happens at Cloudflare without our asking.

    def running(self) -> list[ProviderRecording]:
        with self.lock:
            return [one for one in self.captured.values() if one.status.running]

    def begin_by_itself(self, meeting_id: str) -> ProviderRecording:
        return self._begin(meeting_id, auto=True)

    def record_tracks(self, meeting_id: str) -> ProviderRecording:
        """Somebody else starts a track recording."""
        return self._change(
            self._begin(meeting_id, auto=False).cloudflare_recording_id, status=ProviderStatus.RECORDING, tracks=True
        )

    def go(self, cloudflare_recording_id: str) -> ProviderRecording:
        """What was invoked begins to record."""
        return self._change(cloudflare_recording_id, status=ProviderStatus.RECORDING, started_at=self.clock())

    def end(self, cloudflare_recording_id: str) -> ProviderRecording:
        return self._change(cloudflare_recording_id, status=ProviderStatus.UPLOADING, stopped_at=self.clock())

    def deliver(self, cloudflare_recording_id: str) -> None:
        """Put the file into our own bucket, if it is to go there."""
        if self.bucket is not None and cloudflare_recording_id in self._folders:
            self.bucket.put(self._folders[cloudflare_recording_id], self.content, content_type="video/mp4")

    def upload(
        self, cloudflare_recording_id: str, *, seconds: int | None = 60, url: str | None = None
    ) -> ProviderRecording:
        self.deliver(cloudflare_recording_id)
        return self._change(
            cloudflare_recording_id,
            status=ProviderStatus.UPLOADED,
            stopped_at=self.get(cloudflare_recording_id).stopped_at or self.clock(),
            duration_seconds=seconds,
            download_url=url or f"https://files/{cloudflare_recording_id}",
            url_expires_at=self.clock() + timedelta(days=7),
        )

    def lose(self, cloudflare_recording_id: str, *, url: str | None = None) -> ProviderRecording:
        return self._change(
            cloudflare_recording_id,
            status=ProviderStatus.ERRORED,
            stopped_at=self.get(cloudflare_recording_id).stopped_at or self.clock(),
            download_url=url,
            duration_seconds=None,
        )

    def forget(self, cloudflare_recording_id: str) -> None:
        with self.lock:
            del self.captured[cloudflare_recording_id]

    def _begin(self, meeting_id: str, *, auto: bool) -> ProviderRecording:
        with self.lock:
            if any(one.meeting_id == meeting_id and not one.tracks for one in self.running()):
                raise ProviderRefused("a recording of this meeting is running")
            self._begun += 1
            provider_recording = ProviderRecording(
                cloudflare_recording_id=f"capture_{self._begun}",
                status=ProviderStatus.INVOKED,
                invoked_at=self.clock(),
                auto_started=auto,
                meeting_id=meeting_id,
                session_id=f"session_{self._begun}",
            )
            self.captured[provider_recording.cloudflare_recording_id] = provider_recording
            return provider_recording

    def _change(self, cloudflare_recording_id: str, **changes: Any) -> ProviderRecording:
        with self.lock:
            self.captured[cloudflare_recording_id] = replace(self.get(cloudflare_recording_id), **changes)
            return self.captured[cloudflare_recording_id]


def _as_listed(provider_recording: ProviderRecording) -> ProviderRecording:
    """Return a recording as listings show it: without whether it started automatically."""
    return replace(provider_recording, auto_started=None)


class MemoryProcessingExecutions:
    """Implements ports.executions.ProcessingExecutions, and remembers its executions."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.started: dict[tuple[str, int], Recording] = {}
        self.ended: list[tuple[str, int]] = []
        self.completed_tokens: list[str] = []

    def start(self, recording: Recording) -> None:
        with self.lock:
            self.started.setdefault((recording.id, recording.attempt), recording)

    def replace(self, before: Recording, after: Recording) -> None:
        self.end(before)
        self.start(after)

    def is_running(self, recording: Recording) -> bool:
        with self.lock:
            return (recording.id, recording.attempt) not in self.ended

    def check_again(self, token: str) -> None:
        with self.lock:
            self.completed_tokens.append(token)

    # What happens to an execution by itself.

    def end(self, recording: Recording) -> None:
        with self.lock:
            if (recording.id, recording.attempt) in self.started:
                self.ended.append((recording.id, recording.attempt))


class MemoryArchivingExecutions:
    """Implements ports.executions.ArchivingExecutions, and remembers its executions."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.started: dict[tuple[str, int], Recording] = {}
        self.ended: set[tuple[str, int]] = set()
        self.restarted: list[tuple[str, int]] = []

    def start(self, recording: Recording) -> None:
        with self.lock:
            self.started.setdefault((recording.id, recording.archive_attempt), recording)

    def restart(self, recording: Recording) -> bool:
        key = recording.id, recording.archive_attempt
        with self.lock:
            if key in self.started and key not in self.ended:
                return False
            self.started[key] = recording
            self.ended.discard(key)
            self.restarted.append(key)
            return True

    # What happens to an execution by itself.

    def end(self, recording: Recording) -> None:
        with self.lock:
            self.ended.add((recording.id, recording.archive_attempt))


class MemorySyncLease:
    """Implements ports.repositories.SyncLease."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.nonce: str | None = None
        self.until: datetime | None = None
        self.last: datetime | None = None
        self.watermark: datetime | None = None
        self.full_at: datetime | None = None

    def acquire(self, *, nonce: str, now: datetime, until: datetime) -> SyncWindow | None:
        with self.lock:
            if self.until is not None and self.until > now and self.nonce != nonce:
                return None
            self.nonce, self.until = nonce, until
            last, self.last = self.last, now
            return SyncWindow(self.watermark, self.full_at is None or now - self.full_at >= FULL_SYNC_INTERVAL, last)

    def renew(self, *, nonce: str, until: datetime) -> None:
        with self.lock:
            if self.nonce == nonce:
                self.until = until

    def release(self, *, nonce: str, watermark: datetime | None, full_at: datetime | None) -> None:
        with self.lock:
            if self.nonce != nonce:
                return
            self.nonce = self.until = None
            self.watermark = watermark or self.watermark
            self.full_at = full_at or self.full_at


class MemoryRetryQueue:
    """Implements ports.repositories.RetryQueue."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def list_all(self) -> Sequence[SyncItem]:
        with self._memory.lock:
            return [*self._memory.retry_queue.values()]

    def add(self, item: SyncItem) -> None:
        with self._memory.lock:
            self._memory.add_to_retry_queue(item)

    def remove(self, item: SyncItem) -> None:
        with self._memory.lock:
            self._memory.retry_queue.pop(retry_key(item), None)


def retry_key(item: SyncItem) -> str:
    """Return the name of an item in the retry queue."""
    return item.cloudflare_recording_id or f"MEETING#{item.meeting_id}"


class FakeRateLimiter:
    """Implements ports.provider.RateLimiter: counts calls up to a limit, and records the blocks."""

    def __init__(self, calls: int = 1_000_000) -> None:
        self.calls, self.spent, self.blocks = calls, 0, list[int]()

    def acquire(self) -> None:
        if self.spent >= self.calls:
            raise ProviderThrottled("The rate limit is reached.", retry_after=60)
        self.spent += 1

    def block(self, seconds: int) -> None:
        self.blocks.append(seconds)


# ---------------------------------------------------------------- buckets and sources


@lru_cache(maxsize=32)
def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class MemoryObjectStore:
    """Implements ports.storage.ObjectStore as R2 does: parts of one size, ETags of MD5s, no versions."""

    store: Store = "r2"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # Content and ETag by key.
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.modified_at: dict[str, datetime] = {}
        # The content type that each object was stored with, or will be.
        self.content_types: dict[str, str] = {}
        # Key and parts by upload id.
        self.unfinished: dict[str, tuple[str, dict[int, bytes]]] = {}
        # How often each part number was written.
        self.part_writes: Counter[int] = Counter()
        # The CRC-32 that completing an upload returns. R2 returns none.
        self.whole_crc32: str | None = None
        # Whether the CRC-32s of parts are kept, as S3 does, and R2 does not.
        self.keeps_crc32 = False
        self._uploads_created = 0

    def head(self, key: str) -> ObjectHead | None:
        with self.lock:
            found = self.objects.get(key)
            return ObjectHead(len(found[0]), found[1]) if found else None

    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        with self.lock:
            if key not in self.objects:
                raise SourceUnavailable("the file is not in the bucket")
            content, stored = self.objects[key]
        if etag not in (None, stored):
            raise SourceChanged("the file changed while it was read")
        # A range that begins behind the end is not satisfiable.
        assert 0 <= first <= last
        assert first < len(content)
        return content[first : last + 1]

    def put(self, key: str, content: Content, *, content_type: str) -> str:
        with self.lock:
            self.content_types[key] = content_type
            self._store(key, bytes(content), md5(bytes(content)))
            return md5(bytes(content))

    def _store(self, key: str, content: bytes, etag: str) -> None:
        self.objects[key], self.modified_at[key] = (content, etag), NOON

    def create_upload(self, key: str, *, content_type: str) -> str:
        with self.lock:
            self._uploads_created += 1
            upload_id = f"upload_{self._uploads_created}"
            self.unfinished[upload_id], self.content_types[key] = (key, {}), content_type
            return upload_id

    def read_into(self, key: str, first: int, buffer: bytearray, *, etag: str | None = None) -> None:
        buffer[:] = self.read(key, first, first + len(buffer) - 1, etag=etag)

    def upload_part(self, key: str, upload_id: str, number: int, content: Content, *, crc32: int | None = None) -> str:
        assert crc32 in (None, zlib.crc32(content))
        with self.lock:
            self._parts(key, upload_id)[number] = bytes(content)
            self.part_writes[number] += 1
            return md5(bytes(content))

    def list_parts(self, key: str, upload_id: str) -> Mapping[int, UploadedPart] | None:
        with self.lock:
            if upload_id not in self.unfinished:
                return None
            parts = self._parts(key, upload_id)
            return {
                number: UploadedPart(len(part), md5(part), zlib.crc32(part) if self.keeps_crc32 else None)
                for number, part in sorted(parts.items())
            }

    def complete_upload(
        self, key: str, upload_id: str, etags: Mapping[int, str], part_checksums: Mapping[int, int]
    ) -> str | None:
        with self.lock:
            etag = of_parts(etags[number] for number in sorted(etags))
            if upload_id not in self.unfinished and self.objects.get(key, (b"", ""))[1] == etag:
                # A repeat after the upload was completed.
                return None
            parts = self._parts(key, upload_id)
            if any(number not in parts or md5(parts[number]) != etags[number] for number in etags):
                raise SourceUnavailable("parts are missing")
            chosen = [parts[number] for number in sorted(etags)]
            assert len({len(part) for part in chosen[:-1]}) <= 1, "R2 requires parts of one size"
            self._store(key, b"".join(chosen), etag)
            del self.unfinished[upload_id]
            return self.whole_crc32

    def abort_upload(self, key: str, upload_id: str) -> None:
        with self.lock:
            self.unfinished.pop(upload_id, None)

    def list_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        with self.lock:
            found = [(key, upload_id) for upload_id, (key, _) in self.unfinished.items() if key.startswith(prefix)]
        return iter([UnfinishedUpload(key, upload_id, NOON) for key, upload_id in found])

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ListedObject]:
        with self.lock:
            keys = sorted(key for key in self.objects if key.startswith(prefix) and (after is None or key > after))
        for key in keys:
            content, etag = self.objects[key]
            yield ListedObject(key, len(content), etag, self.modified_at.get(key, NOON))

    def list_names(self, prefix: str) -> Iterator[str]:
        with self.lock:
            below = [key.removeprefix(prefix).partition("/") for key in self.objects if key.startswith(prefix)]
        return iter(sorted({name + slash for name, slash, _ in below}))

    def delete(self, key: str) -> None:
        with self.lock:
            self.objects.pop(key, None)

    def copy(self, source_key: str, target_key: str) -> None:
        with self.lock:
            self.content_types[target_key] = self.content_types.get(source_key, "")
            self._store(target_key, *self.objects[source_key])

    def presign_download(
        self, key: str, *, file_name: str, content_type: str, expires_in_seconds: int, now: datetime
    ) -> DownloadUrl:
        url = f"https://files/{key}?name={file_name}&type={content_type}&seconds={expires_in_seconds}"
        return DownloadUrl(url, now + timedelta(seconds=expires_in_seconds))

    def list_items(self, prefix: str) -> Iterator[StoreItem]:
        for listed in self.list_objects(prefix):
            yield StoreItem(store=self.store, key=listed.key, kind=ItemKind.OBJECT)
        yield from self._unfinished_items(prefix)

    def _unfinished_items(self, prefix: str) -> Iterator[StoreItem]:
        for upload in self.list_uploads(prefix):
            yield StoreItem(store=self.store, key=upload.key, kind=ItemKind.UPLOAD, id=upload.upload_id)

    def erase(self, item: StoreItem) -> None:
        if item.kind is ItemKind.UPLOAD:
            self.abort_upload(item.key, item.id)
        else:
            self.delete(item.key)

    def _parts(self, key: str, upload_id: str) -> dict[int, bytes]:
        if upload_id not in self.unfinished:
            raise SourceUnavailable("the upload was aborted before it was complete")
        uploaded_key, parts = self.unfinished[upload_id]
        assert uploaded_key == key
        return parts


class MemoryArchiveStore(MemoryObjectStore):
    """Implements ports.storage.ArchiveStore as S3 does, with versions. A test says when a copy becomes readable."""

    store: Store = "s3"

    def __init__(self) -> None:
        super().__init__()
        self.storage_class = "GLACIER"
        self.restores: dict[str, tuple[bool, datetime | None]] = {}
        # Key, days and tier of every request.
        self.restore_requests: list[tuple[str, int, Tier]] = []
        # What each key keeps, in the order of its ids: a version, or a delete marker.
        self.versions: dict[str, dict[str, ItemKind]] = {}

    def _store(self, key: str, content: bytes, etag: str) -> None:
        super()._store(key, content, etag)
        self._add_version(key, ItemKind.VERSION)

    def delete(self, key: str) -> None:
        super().delete(key)
        with self.lock:
            self._add_version(key, ItemKind.DELETE_MARKER)

    def _add_version(self, key: str, kind: ItemKind) -> None:
        versions = self.versions.setdefault(key, {})
        versions[f"{key}_{len(versions) + 1}"] = kind

    def list_items(self, prefix: str) -> Iterator[StoreItem]:
        for key in sorted(self.versions):
            if key.startswith(prefix):
                for version_id, kind in self.versions[key].items():
                    yield StoreItem(store=self.store, key=key, kind=kind, id=version_id)
        yield from self._unfinished_items(prefix)

    def erase(self, item: StoreItem) -> None:
        if item.kind is ItemKind.UPLOAD:
            self.abort_upload(item.key, item.id)
            return
        with self.lock:
            self.versions.get(item.key, {}).pop(item.id, None)
            if not self.versions.get(item.key):
                self.objects.pop(item.key, None)

    def read(self, key: str, first: int, last: int, *, etag: str | None = None) -> bytes:
        if key in self.objects and self.restores.get(key, (False, None))[1] is None:
            raise InfrastructureError("the object is in a storage class that cannot be read")
        return super().read(key, first, last, etag=etag)

    def presign_download(
        self, key: str, *, file_name: str, content_type: str, expires_in_seconds: int, now: datetime
    ) -> DownloadUrl:
        # The credentials that sign end after an hour.
        seconds = min(expires_in_seconds, 3600)
        return DownloadUrl(f"https://cold/{key}?name={file_name}&seconds={seconds}", now + timedelta(seconds=seconds))

    def restore_status(self, key: str) -> RestoreStatus | None:
        if self.head(key) is None:
            return None
        in_progress, until = self.restores.get(key, (False, None))
        return RestoreStatus(in_progress, until, self.storage_class)

    def request_restore(self, key: str, *, days: int, tier: Tier) -> bool:
        was_in_progress = key in self.restores and self.restores[key][0]
        self.restore_requests.append((key, days, tier))
        if key not in self.restores or self.restores[key][1] is None:
            self.restores[key] = True, None
        return not was_in_progress

    # What happens in S3 without a request.

    def finish_restore(self, key: str, *, until: datetime) -> None:
        self.restores[key] = False, until

    def expire_copy(self, key: str) -> None:
        self.restores.pop(key, None)


class MemoryPartChecksums:
    """Implements ports.storage.PartChecksums."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stored: dict[str, dict[int, int]] = {}

    def store(self, upload: str, checksums: Mapping[int, int]) -> None:
        with self.lock:
            self.stored.setdefault(upload, {}).update(checksums)

    def get_all(self, upload: str) -> Mapping[int, int]:
        with self.lock:
            return dict(self.stored.get(upload, {}))


class MemoryReader:
    """Implements ports.storage.SourceReader over one file for all URLs. Counts the ranges that are read, by offset."""

    def __init__(self, content: bytes = b"", *, ranges: bool = True, etag: str | None = '"v1"') -> None:
        self.content, self.ranges, self.etag = content, ranges, etag
        self.lock = threading.Lock()
        self.reads: Counter[int] = Counter()
        # Offsets at which the next read returns a wrong bit, once for each time they are listed.
        self.flips: list[int] = []

    def _bytes_of(self, first: int, last: int) -> bytes:
        content = bytearray(self.content[first : last + 1])
        with self.lock:
            for offset in [one for one in dict.fromkeys(self.flips) if first <= one <= last]:
                self.flips.remove(offset)
                # Each time another bit.
                content[offset - first] ^= 1 << (len(self.flips) % 8)
        return bytes(content)

    def measure(self, location: str) -> SourceFile:
        return SourceFile(size=len(self.content), etag=self.etag, ranges=self.ranges)

    def session(self) -> AbstractContextManager[Self]:
        return nullcontext(self)

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        last = first + len(buffer) - 1
        if file.etag != self.etag or file.size != len(self.content):
            raise SourceChanged
        if not self.ranges:
            raise SourceUnavailable
        assert 0 <= first <= last < file.size
        with self.lock:
            self.reads[first] += 1
        buffer[:] = self._bytes_of(first, last)

    def stream(self, location: str, file: SourceFile, part_size: int) -> Iterator[bytes]:
        if file.etag != self.etag:
            raise SourceChanged
        for first, last in stream_offsets(len(self.content), part_size):
            yield self._bytes_of(first, last)
        if len(self.content) != file.size:
            raise SourceUnavailable


class StoredReader:
    """Implements ports.storage.SourceReader over the keys of a store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def measure(self, location: str) -> SourceFile:
        found = self._store.head(location)
        if found is None:
            raise SourceUnavailable("no such file")
        return SourceFile(size=found.size, etag=found.etag, ranges=True)

    def session(self) -> AbstractContextManager[Self]:
        return nullcontext(self)

    def read(self, location: str, file: SourceFile, first: int, buffer: bytearray) -> None:
        self._store.read_into(location, first, buffer, etag=file.etag)

    def stream(self, location: str, file: SourceFile, part_size: int) -> Iterator[bytes]:
        raise AssertionError("our own stores can be read in ranges")
