"""What an audit says: findings of four kinds, what was done about them, and what it could not see."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from recordings.domain.stored_file import Store

# What is missing, or owned by nobody, counts only when two complete listings this far apart say so.
APART: Final = timedelta(hours=6)
ABSENT: Final = "absent"

type Place = Store | Literal["cloudflare"]
type Kind = Literal["size", "checksum", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Something missing: when a listing first said so, and whether another one said it hours later."""

    since: datetime
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """Bytes that no recording owns: a file, an unfinished upload (`upload_id`), or a capture at Cloudflare.

    `key` is the capture's id there, and `room_id` whose it is. Size in bytes; None where nobody tells it.
    """

    store: Place
    key: str
    size: int | None
    at: datetime
    upload_id: str = ""
    room_id: str | None = None
    suspicion: Suspicion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A recording whose file is missing."""

    recording_id: str
    store: Store
    key: str
    suspicion: Suspicion


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A recording that is recorded otherwise than it is found.

    Size in bytes, checksum as the store's ETag; of a status Cloudflare's is what is found, or `absent`.
    """

    recording_id: str
    kind: Kind
    recorded: int | str
    found: int | str
    suspicion: Suspicion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """A recording whose work has come to a stand: `processing`, or the move to cold storage (`archiving`)."""

    recording_id: str
    step: Literal["processing", "archiving"]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A capture that became a recording."""

    cloudflare_recording_id: str
    recording_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """What lies outside every tenant's folder: reported, and never touched."""

    store: Store
    key: str


@dataclass(slots=True)
class Report:
    """What was found of one tenant, and what was done: `removed` and `adopted` are among the orphans.

    `reconciled` are recordings that were brought in line with Cloudflare. `compared`: whether Cloudflare could be
    compared whole; what is reported holds in any case. `incomplete` says what else was not done. `held`: orphans are
    not removed, because no recording is left to own anything.
    """

    tenant_id: str
    recordings: int = 0
    files: int = 0
    orphans: list[Orphan] = field(default_factory=list)
    phantoms: list[Phantom] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    stalled: list[Stalled] = field(default_factory=list)
    removed: list[Orphan] = field(default_factory=list)
    adopted: list[Adopted] = field(default_factory=list)
    reconciled: list[str] = field(default_factory=list)
    compared: bool = True
    incomplete: list[str] = field(default_factory=list)
    held: bool = False

    def add(self, more: "Report") -> None:
        """Take in what was found of more of the tenant's rooms."""
        self.recordings += more.recordings
        self.files += more.files
        for kind in (*KINDS, "incomplete"):
            getattr(self, kind).extend(getattr(more, kind))
        self.compared = self.compared and more.compared
        self.held = self.held or more.held

    @property
    def counts(self) -> Counter[str]:
        """How many of each kind."""
        return Counter({kind: len(getattr(self, kind)) for kind in KINDS})

    @property
    def alarming(self) -> Counter[str]:
        """Those among them that a person must hear of: confirmed phantoms, and files with other bytes."""
        return Counter(
            confirmed_phantoms=sum(one.suspicion.confirmed for one in self.phantoms),
            changed_files=sum(one.kind != "status" for one in self.mismatches),
        )

    def document(self, most: int) -> dict[str, Any]:
        """As JSON has it; of each kind at most so many, and the counts are of all."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        rows = {kind: [_plain(row) for row in told[kind][:most]] for kind in KINDS}
        return {**told, **rows, "counts": self.counts}


# The order in which they are told: what was found, then what was done.
FOUND: Final = ("orphans", "phantoms", "mismatches", "stalled")
DONE: Final = ("removed", "adopted", "reconciled")
KINDS: Final = (*FOUND, *DONE)


def _plain(row: Any) -> Any:
    return row if isinstance(row, str) else _written(asdict(row))


def _written(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times as text, and a suspicion's facts beside those of its row."""
    told: dict[str, Any] = {}
    for name, value in row.items():
        if name == "suspicion":
            told |= _written(value) if value is not None else {}
        else:
            told[name] = value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
    return told


@dataclass(slots=True)
class Answer:
    """Reports as JSON has them, as many as fit: of each kind `most` rows, and `room` bytes in all.

    Tenants of whom there is nothing to tell are left out, and those that did not fit are counted in `omitted`.
    """

    most: int
    room: int
    everybody: bool = False
    reports: list[dict[str, Any]] = field(default_factory=list)
    omitted: int = 0

    def add(self, report: Report) -> None:
        """Take a report in, if there is something to tell and room for it."""
        if not (self.everybody or report.counts.total() or report.incomplete):
            return
        told = report.document(self.most)
        self.room -= len(json.dumps(told))
        if self.room < 0:
            self.omitted += 1
        else:
            self.reports.append(told)
