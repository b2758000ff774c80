"""Compare what we store with what we say we store, and clear away what nobody owns.

Found are orphans (files and unfinished uploads that no recording owns), phantoms (recordings whose file is missing),
mismatches (another size than was stored) and stalled recordings. Nothing is changed unless it is asked for; then only
orphans are removed, and of these only what an earlier, complete look hours ago called an orphan too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import quote

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording, Store
from recordings.ports import Clock, Recordings

# What is younger may belong to work that has not stored it yet.
YOUNG: Final = timedelta(days=2)
# How long an orphan must have been one before it is removed.
APART: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file or an unfinished upload (`upload_id`) in one of our stores; size in bytes."""

    store: Store
    key: str
    size: int
    at: datetime
    upload_id: str = ""


class Shelf(Protocol):
    """One of our stores."""

    def objects(self, prefix: str) -> Iterator[tuple[str, int, datetime]]: ...
    def begun_uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]: ...
    def folders(self, prefix: str) -> Iterator[str]: ...
    def delete(self, key: str) -> None: ...
    def abort(self, key: str, upload_id: str) -> None: ...


class Suspects(Protocol):
    """Orphans of earlier looks, and when they were first seen."""

    def of(self, tenant_id: str) -> Mapping[str, datetime]: ...
    def note(self, tenant_id: str, keys: Sequence[str], *, at: datetime) -> None: ...
    def forget(self, tenant_id: str, keys: Sequence[str]) -> None: ...


@dataclass(slots=True)
class Report:
    """What was found of one tenant; `removed` are orphans that are gone now."""

    tenant_id: str
    recordings: int = 0
    files: int = 0
    orphans: list[Stored] = field(default_factory=list)
    removed: list[Stored] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    stalled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStorage:
    recordings: Recordings
    shelves: Mapping[Store, Shelf]
    suspects: Suspects
    clock: Clock

    def tenants(self) -> Iterator[str]:
        """The folders of all tenants that store anything, each once, as they are spelled in keys."""
        found: set[str] = set()
        for store, shelf in self.shelves.items():
            for root in ROOTS[store]:
                for folder in shelf.folders(root):
                    if folder not in found and not (root == "" and folder == "delivered"):
                        found.add(folder)
                        yield folder

    def __call__(self, tenant_id: str, *, repair: bool) -> Report:
        """Raises what the stores raise: an audit that did not see everything says nothing."""
        report, now = Report(tenant_id), self.clock()
        # The files first: what is stored while we look is in the records by the time these are read.
        stored = [one for one in self._everything(tenant_id) if now - one.at > YOUNG]
        present = {(one.store, one.key): one.size for one in self._everything(tenant_id) if not one.upload_id}
        owned: set[tuple[Store, str]] = set()
        busy: set[str] = set()
        for recording in self.recordings.everything(tenant_id):
            report.recordings += 1
            owned |= _owned_by(recording)
            if recording.open:
                busy.add(recording.id)
            self._compare(recording, present, report)
        report.files = len(present)
        report.orphans = [
            one
            for one in stored
            if (one.store, one.key) not in owned and not any(part in busy for part in one.key.split("/"))
        ]
        self._clear(report, now, repair)
        return report

    def _everything(self, tenant_id: str) -> Iterator[Stored]:
        folder = quote(tenant_id, safe="")
        for store, shelf in self.shelves.items():
            for root in ROOTS[store]:
                prefix = f"{root}{folder}/"
                for key, size, at in shelf.objects(prefix):
                    yield Stored(store, key, size, at)
                for key, upload_id, at in shelf.begun_uploads(prefix):
                    yield Stored(store, key, 0, at, upload_id)

    def _compare(self, recording: Recording, present: Mapping[tuple[Store, str], int], report: Report) -> None:
        if recording.stalled and recording.status is Status.PROCESSING:
            report.stalled.append(recording.id)
        file = recording.file
        if file is None or recording.moving:
            return
        size = present.get((file.provider, file.key))
        if size is None:
            report.phantoms.append(recording.id)
        elif size != file.size_bytes:
            report.mismatches.append(recording.id)

    def _clear(self, report: Report, now: datetime, repair: bool) -> None:
        before = self.suspects.of(report.tenant_id)
        names = {_name(one): one for one in report.orphans}
        if repair:
            for name, orphan in names.items():
                if name in before and now - before[name] >= APART:
                    self._remove(orphan)
                    report.removed.append(orphan)
        gone = {_name(one) for one in report.removed}
        self.suspects.forget(report.tenant_id, [name for name in before if name not in names or name in gone])
        self.suspects.note(report.tenant_id, [name for name in names if name not in before], at=now)

    def _remove(self, orphan: Stored) -> None:
        shelf = self.shelves[orphan.store]
        if orphan.upload_id:
            shelf.abort(orphan.key, orphan.upload_id)
        else:
            shelf.delete(orphan.key)


# Where the folders of the tenants begin in each store.
ROOTS: Final[Mapping[Store, Sequence[str]]] = {"r2": ("", "delivered/"), "s3": ("recordings/",)}


def _owned_by(recording: Recording) -> set[tuple[Store, str]]:
    owned: set[tuple[Store, str]] = set()
    if recording.file is not None:
        owned.add((recording.file.provider, recording.file.key))
    if recording.delivery_key is not None and (recording.file is None or recording.file.key == recording.delivery_key):
        owned.add(("r2", recording.delivery_key))
    return owned


def _name(one: Stored) -> str:
    return f"{one.store}:{one.key}:{one.upload_id}"
