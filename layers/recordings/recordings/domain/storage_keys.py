"""The keys of every file in R2 and in the archive bucket: how they are built, and what a key says of its owner.

    R2       <tenant>/<room>/<recording>/<attempt>/recording.mp4              what an attempt fetched
    R2       delivered/<tenant>/<room>/<Cloudflare's file name>               what Cloudflare delivered itself
    R2       quarantine/<tenant>/<room>/<recording>/<attempt>/recording       bytes that were not accepted
    archive  recordings/<tenant>/<room>/<recording>/<attempt>/recording.mp4   what a move to cold storage wrote

Each part is percent-encoded, so no name can reach into the folder of another. A tenant called `delivered` or
`quarantine` shares a prefix with the files of others, and a room may be named like a recording: a prefix alone says
nothing of the owner. Whoever deletes must ask `owner_of`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import quote, unquote

from recordings.domain.recording import Recording
from recordings.domain.stored_file import Store

DELIVERED: Final = "delivered"
QUARANTINE: Final = "quarantine"
ARCHIVE_ROOT: Final = "recordings/"
# Where the folders of the tenants begin in each store.
ROOTS: Final[Mapping[Store, Sequence[str]]] = {"r2": ("", f"{DELIVERED}/", f"{QUARANTINE}/"), "s3": (ARCHIVE_ROOT,)}
RECORDING_FILE: Final = "recording.mp4"
QUARANTINED_FILE: Final = "recording"
# [prefix_]<meeting id>_<unix ms>.mp4, the time that Cloudflare took the order: seen, not documented.
OUTPUT_FILE_NAME: Final = re.compile(
    r"(?:^|_)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})_(\d{1,14})\.\w+$", re.ASCII
)


class FileKind(StrEnum):
    ATTEMPT = "attempt"
    DELIVERY = "delivery"
    QUARANTINE = "quarantine"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """Whose file a key names. `file_name` is its last part; a delivery names neither recording nor attempt."""

    kind: FileKind
    tenant_id: str
    room_id: str
    recording_id: str | None = None
    attempt: int | None = None
    file_name: str


class RecordingIds(Protocol):
    """What the folder of a recording is named after."""

    @property
    def id(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def room_id(self) -> str: ...


def recording_prefix(recording: RecordingIds) -> str:
    """The prefix of everything that attempts at this recording write into R2."""
    return _joined(recording.tenant_id, recording.room_id, recording.id)


def attempt_key(recording: Recording) -> str:
    """Where its present attempt writes: a key of its own, so that a retry can never overwrite a better file."""
    return f"{recording_prefix(recording)}{recording.attempt}/{RECORDING_FILE}"


def archive_prefix(recording: RecordingIds) -> str:
    """The prefix of everything that moves of this recording write into the archive bucket."""
    return f"{ARCHIVE_ROOT}{recording_prefix(recording)}"


def archive_key(recording: RecordingIds, attempt: int) -> str:
    """Where this attempt at the move writes."""
    return f"{archive_prefix(recording)}{attempt}/{RECORDING_FILE}"


def quarantine_prefix(recording: RecordingIds) -> str:
    """The prefix in R2 of all bytes of this recording that were not accepted."""
    return f"{QUARANTINE}/{recording_prefix(recording)}"


def quarantine_key(recording: Recording, attempt: int | None = None) -> str:
    """Where the bytes go that an attempt (by default the present one) fetched and that were not accepted."""
    return f"{quarantine_prefix(recording)}{recording.attempt if attempt is None else attempt}/{QUARANTINED_FILE}"


def delivery_folder(tenant_id: str, room_id: str) -> str:
    """The folder, without a slash at its end, that Cloudflare is asked to deliver a room's files into."""
    return f"{DELIVERED}/{_joined(tenant_id, room_id)}".removesuffix("/")


def delivery_key(tenant_id: str, room_id: str, file_name: str | None) -> str | None:
    """Where a file of this name is delivered; None when Cloudflare gives no name, or one that leaves the folder."""
    if not file_name or "/" in file_name:
        return None
    return f"{delivery_folder(tenant_id, room_id)}/{file_name}"


def named_by(file_name: str) -> tuple[str, datetime] | None:
    """The meeting, and when Cloudflare took the order (UTC, milliseconds), as its file name says; None if unknown."""
    found = OUTPUT_FILE_NAME.search(file_name)
    if found is None:
        return None
    try:
        return found[1], datetime.fromtimestamp(int(found[2]) / 1000, UTC)
    except (OverflowError, ValueError):
        return None


def owner_of(store: Store, key: str) -> KeyOwner | None:
    """What a key says of its owner; None for a key that none of the functions above can have built."""
    match store, key.split("/"):
        case "r2", [tenant, room, recording, attempt, file]:
            return _owner(FileKind.ATTEMPT, tenant, room, recording, attempt, file)
        case "r2", [root, tenant, room, file] if root == DELIVERED:
            return _owner(FileKind.DELIVERY, tenant, room, None, None, file)
        case "r2", [root, tenant, room, recording, attempt, file] if root == QUARANTINE:
            return _owner(FileKind.QUARANTINE, tenant, room, recording, attempt, file)
        case "s3", [root, tenant, room, recording, attempt, file] if f"{root}/" == ARCHIVE_ROOT:
            return _owner(FileKind.ARCHIVE, tenant, room, recording, attempt, file)
    return None


def is_below(root: str, key: str) -> bool:
    """Whether a key lies below this root of `ROOTS`, where several roots share a prefix.

    A tenant called `delivered` keeps its files, delivered/<room>/<recording>/<attempt>/<file>, among what Cloudflare
    delivers to others, delivered/<tenant>/<room>/<file>; one called `quarantine` has its files among quarantined ones.
    """
    parts = key.split("/")
    if parts[0] not in {DELIVERED, QUARANTINE}:
        return True
    deep = len(parts) > 4 if parts[0] == DELIVERED else len(parts) == 5
    return (deep and parts[2].startswith("rec_")) == (root == "")


def _owner(
    kind: FileKind, tenant: str, room: str, recording: str | None, attempt: str | None, file_name: str
) -> KeyOwner | None:
    if not file_name:
        return None
    names = (tenant, room) if recording is None else (tenant, room, recording)
    if not all(name and quote(unquote(name), safe="") == name for name in names):
        return None
    if recording is not None and not recording.startswith("rec_"):
        return None
    if attempt is not None and not (attempt.isascii() and attempt.isdigit() and len(attempt) <= 9):
        return None
    return KeyOwner(
        kind=kind,
        tenant_id=unquote(tenant),
        room_id=unquote(room),
        recording_id=None if recording is None else unquote(recording),
        attempt=None if attempt is None else int(attempt),
        file_name=file_name,
    )


def _joined(*parts: str) -> str:
    return "".join(f"{quote(part, safe='')}/" for part in parts)
