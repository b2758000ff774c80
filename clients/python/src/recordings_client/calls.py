"""Every call of the API: what it sends, and how its response is read. Both clients use them.

The methods of `Client` with the same names describe them. Every call takes the client's policy first.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import quote

from recordings_client.effects import Answer, Steps
from recordings_client.errors import NotReady, RecordingFailed, error_of
from recordings_client.models import (
    Access,
    Archived,
    Deleted,
    Download,
    Page,
    Recording,
    RecordingStatus,
    RecordingSummary,
    Recovering,
    Restoring,
    Room,
    Started,
    Stopped,
    Synced,
    page_of,
)
from recordings_client.policy import Policy, data, whole

T = TypeVar("T")
Tier: TypeAlias = Literal["standard", "bulk", "expedited"]
# Returns the page that begins at a cursor. None is the first page.
Pages: TypeAlias = Callable[[str | None], Steps[Page[T]]]

ROOMS = "/api/v1/rooms"
RECORDINGS = "/api/v1/recordings"


def put_room(
    policy: Policy,
    room_id: str,
    *,
    name: str,
    cloudflare_meeting_id: str | None = None,
    record_on_start: bool | None = None,
) -> Steps[Room]:
    given = {"name": name, "cloudflare_meeting_id": cloudflare_meeting_id, "record_on_start": record_on_start}
    body = {key: value for key, value in given.items() if value is not None}
    return policy.exchange("PUT", _at(ROOMS, room_id), data(Room.of), body=body)


def get_room(policy: Policy, room_id: str) -> Steps[Room]:
    return policy.exchange("GET", _at(ROOMS, room_id), data(Room.of))


def list_rooms(policy: Policy, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Room]]:
    return policy.exchange("GET", ROOMS, whole(page_of(Room.of)), query=_query(limit=limit, cursor=cursor))


def iter_rooms(policy: Policy, *, page_size: int = 100) -> Pages[Room]:
    return lambda cursor: list_rooms(policy, limit=page_size, cursor=cursor)


def delete_room(policy: Policy, room_id: str, *, idempotency_key: str | None = None) -> Steps[None]:
    return policy.exchange("DELETE", _at(ROOMS, room_id), _nothing, idempotency_key=idempotency_key)


def start(
    policy: Policy, room_id: str, *, max_duration_seconds: int | None = None, idempotency_key: str | None = None
) -> Steps[Started]:
    body = None if max_duration_seconds is None else {"max_duration_seconds": max_duration_seconds}
    path = f"{_at(ROOMS, room_id)}/recordings/start"
    return policy.exchange("POST", path, data(Started.of), body=body, idempotency_key=idempotency_key)


def stop(policy: Policy, room_id: str, *, idempotency_key: str | None = None) -> Steps[Stopped]:
    path = f"{_at(ROOMS, room_id)}/recordings/stop"
    return policy.exchange("POST", path, data(Stopped.of), idempotency_key=idempotency_key)


def sync(policy: Policy, room_id: str, *, idempotency_key: str | None = None) -> Steps[Synced]:
    path = f"{_at(ROOMS, room_id)}/recordings/sync"
    return policy.exchange("POST", path, data(Synced.of), idempotency_key=idempotency_key)


def list_recordings(
    policy: Policy,
    *,
    limit: int | None = None,
    offset: int | None = None,
    cursor: str | None = None,
    room_id: str | None = None,
    status: str | Iterable[str] | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> Steps[Page[RecordingSummary]]:
    if offset is not None and cursor is not None:
        raise ValueError("give offset or cursor, not both")
    query = _query(
        limit=limit,
        offset=offset,
        cursor=cursor,
        room_id=room_id,
        status=[status] if isinstance(status, str) else status,
        created_after=_instant(created_after),
        created_before=_instant(created_before),
    )
    return policy.exchange("GET", RECORDINGS, whole(page_of(RecordingSummary.of)), query=query)


def iter_recordings(
    policy: Policy,
    *,
    page_size: int = 100,
    room_id: str | None = None,
    status: str | Iterable[str] | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> Pages[RecordingSummary]:
    # Every page sends the same statuses. An iterator would be empty after the first page.
    wanted = status if status is None or isinstance(status, str) else tuple(status)
    return lambda cursor: list_recordings(
        policy,
        limit=page_size,
        cursor=cursor,
        room_id=room_id,
        status=wanted,
        created_after=created_after,
        created_before=created_before,
    )


def get(policy: Policy, recording_id: str) -> Steps[Recording]:
    return policy.exchange("GET", _at(RECORDINGS, recording_id), data(Recording.of))


def list_access(
    policy: Policy, recording_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Steps[Page[Access]]:
    path = f"{_at(RECORDINGS, recording_id)}/access"
    return policy.exchange("GET", path, whole(page_of(Access.of)), query=_query(limit=limit, cursor=cursor))


def iter_access(policy: Policy, recording_id: str, *, page_size: int = 100) -> Pages[Access]:
    return lambda cursor: list_access(policy, recording_id, limit=page_size, cursor=cursor)


def download_url(policy: Policy, recording_id: str, *, expires_in: int | None = None) -> Steps[Download]:
    path = f"{_at(RECORDINGS, recording_id)}/download"
    return policy.exchange("GET", path, _download, query=_query(expires_in=expires_in))


def archive(policy: Policy, recording_id: str, *, idempotency_key: str | None = None) -> Steps[Archived]:
    path = f"{_at(RECORDINGS, recording_id)}/archive"
    return policy.exchange("POST", path, data(Archived.of), idempotency_key=idempotency_key)


def restore(
    policy: Policy,
    recording_id: str,
    *,
    days: int | None = None,
    tier: Tier | None = None,
    idempotency_key: str | None = None,
) -> Steps[Restoring]:
    body = {key: value for key, value in {"days": days, "tier": tier}.items() if value is not None}
    path = f"{_at(RECORDINGS, recording_id)}/restore"
    return policy.exchange("POST", path, data(Restoring.of), body=body or None, idempotency_key=idempotency_key)


def recover(policy: Policy, recording_id: str, *, idempotency_key: str | None = None) -> Steps[Recovering]:
    path = f"{_at(RECORDINGS, recording_id)}/recover"
    return policy.exchange("POST", path, data(Recovering.of), idempotency_key=idempotency_key)


def delete(policy: Policy, recording_id: str, *, idempotency_key: str | None = None) -> Steps[Deleted]:
    return policy.exchange("DELETE", _at(RECORDINGS, recording_id), data(Deleted.of), idempotency_key=idempotency_key)


def undelete(policy: Policy, recording_id: str, *, idempotency_key: str | None = None) -> Steps[RecordingStatus]:
    path = f"{_at(RECORDINGS, recording_id)}/undelete"
    return policy.exchange("POST", path, data(RecordingStatus.of), idempotency_key=idempotency_key)


def _nothing(_: Answer) -> None:
    return None


def _download(response: Answer) -> Download:
    if response.status == 202:
        problem = error_of(response)
        raise NotReady(
            problem.detail,
            status=response.status,
            request_id=response.request_id,
            retry_after=response.retry_after,
            document=problem.document,
        )
    return whole(Download.of)(response)


def failed(recording: Recording) -> RecordingFailed:
    """Return the error for a recording whose status is `failed`."""
    why = recording.failure.message if recording.failure else "it has no file"
    return RecordingFailed(f"The recording failed: {why}")


def _at(collection: str, given: str) -> str:
    # A path with one of these names another resource.
    if given in ("", ".", ".."):
        raise ValueError(f"{given!r} is not an id")
    return f"{collection}/{quote(given, safe=':')}"


def _query(**given: str | int | Iterable[str] | None) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for name, value in given.items():
        if value is None:
            continue
        many = [str(value)] if isinstance(value, str | int) else [str(item) for item in value]
        pairs += [(name, text) for text in many]
    return tuple(pairs)


def _instant(at: datetime | None) -> str | None:
    """Format a time as the API expects it: RFC 3339 in UTC, whole seconds, with a Z."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError("a time needs a zone, for example datetime.now(UTC)")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
