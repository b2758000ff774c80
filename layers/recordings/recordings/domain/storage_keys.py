"""The keys of all files in R2 and in the archive bucket: how to build them, and which owner a key names.

    R2       <tenant>/<room>/<recording>/<attempt>/recording.mp4              fetched by an attempt
    R2       delivered/<tenant>/<room>/<Cloudflare's file name>               delivered by Cloudflare
    R2       quarantine/<tenant>/<room>/<recording>/<attempt>/recording       not accepted
    archive  recordings/<tenant>/<room>/<recording>/<attempt>/recording.mp4   moved to cold storage

Each part is percent-encoded, so no name can lead into the folder of another. A tenant called `delivered` or
`quarantine` shares a prefix with the files of other tenants, and a room may have the name of a recording. So a prefix
does not prove the owner: call `owner_of` before you delete.
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
# The prefixes of the tenants' folders in each bucket.
ROOTS: Final[Mapping[Store, Sequence[str]]] = {"r2": ("", f"{DELIVERED}/", f"{QUARANTINE}/"), "s3": (ARCHIVE_ROOT,)}
RECORDING_FILE: Final = "recording.mp4"
QUARANTINED_FILE: Final = "recording"
# [prefix_]<meeting id>_<unix ms>.mp4 with the time when Cloudflare accepted the start. Observed, not documented.
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
    """The owner that a key names. `file_name` is the last part. A delivery names no recording and no attempt."""

    kind: FileKind
    tenant_id: str
    room_id: str
    recording_id: str | None = None
    attempt: int | None = None
    file_name: str


class RecordingIds(Protocol):
    """The ids that the folder of a recording consists of."""

    @property
    def id(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def room_id(self) -> str: ...


def recording_prefix(recording: RecordingIds) -> str:
    """Return the prefix in R2 of what the attempts of a recording write."""
    return _joined(recording.tenant_id, recording.room_id, recording.id)


def attempt_key(recording: Recording) -> str:
    """Return the key of the present attempt. Attempts have own keys: a retry overwrites no better file."""
    return f"{recording_prefix(recording)}{recording.attempt}/{RECORDING_FILE}"


def archive_prefix(recording: RecordingIds) -> str:
    """Return the prefix in the archive bucket of what the moves of a recording write."""
    return f"{ARCHIVE_ROOT}{recording_prefix(recording)}"


def archive_key(recording: RecordingIds, attempt: int) -> str:
    """Return the key of this attempt at the move."""
    return f"{archive_prefix(recording)}{attempt}/{RECORDING_FILE}"


def quarantine_prefix(recording: RecordingIds) -> str:
    """Return the prefix in R2 of the files of a recording that were not accepted."""
    return f"{QUARANTINE}/{recording_prefix(recording)}"


def quarantine_key(recording: Recording, attempt: int | None = None) -> str:
    """Return the key of a file that was not accepted. The default attempt is the present one."""
    return f"{quarantine_prefix(recording)}{recording.attempt if attempt is None else attempt}/{QUARANTINED_FILE}"


def delivery_folder(tenant_id: str, room_id: str) -> str:
    """Return the folder that Cloudflare delivers a room's files into, without a final slash."""
    return f"{DELIVERED}/{_joined(tenant_id, room_id)}".removesuffix("/")


def delivery_key(tenant_id: str, room_id: str, file_name: str | None) -> str | None:
    """Return the key of a delivered file. None if the name is missing or leads out of the folder."""
    if not file_name or "/" in file_name:
        return None
    return f"{delivery_folder(tenant_id, room_id)}/{file_name}"


def named_by(file_name: str) -> tuple[str, datetime] | None:
    """Return the meeting and the accepted start (UTC, milliseconds) that a file name contains, or None."""
    found = OUTPUT_FILE_NAME.search(file_name)
    if found is None:
        return None
    # 14 digits end before the year 5139, so every match is a date.
    return found[1], datetime.fromtimestamp(int(found[2]) / 1000, UTC)


def owner_of(store: Store, key: str) -> KeyOwner | None:
    """Return the owner that a key names, or None if no function above builds such a key."""
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
    """Return whether a key belongs to this root of `ROOTS`, if several roots share a prefix.

    The files of a tenant called `delivered`, delivered/<room>/<recording>/<attempt>/<file>, are among the deliveries to
    other tenants, delivered/<tenant>/<room>/<file>. The same holds for a tenant called `quarantine`.
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
