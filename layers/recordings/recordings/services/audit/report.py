"""The report of an audit: what it found, what it changed, and what it could not check."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from recordings.domain.stored_file import Store

# A finding of absence is confirmed if two complete listings at least this far apart agree.
MIN_CONFIRMATION_INTERVAL: Final = timedelta(hours=6)
ABSENT: Final = "absent"

type Place = Store | Literal["cloudflare"]
type MismatchKind = Literal["size", "checksum", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """When an audit first found something absent, and whether a later audit confirmed it."""

    since: datetime
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """Bytes without a recording: a file, an unfinished upload (`upload_id`), or a recording at Cloudflare.

    For a recording at Cloudflare `key` is its id, and `room_id` the room that owns it. `size` is bytes, or
    None if it is unknown.
    """

    store: Place
    key: str
    size: int | None
    at: datetime
    upload_id: str = ""
    room_id: str | None = None
    confirmation: Confirmation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A recording whose file is absent."""

    recording_id: str
    store: Store
    key: str
    confirmation: Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A recording that differs from its file or from Cloudflare.

    `recorded` and `found` are bytes, ETags or statuses. `found` is `absent` if Cloudflare does not have the recording.
    """

    recording_id: str
    kind: MismatchKind
    recorded: int | str
    found: int | str
    confirmation: Confirmation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """A recording whose processing or archive move makes no progress."""

    recording_id: str
    step: Literal["processing", "archiving"]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A recording at Cloudflare that was imported."""

    cloudflare_recording_id: str
    recording_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnassignedObject:
    """An object outside of every tenant's folder. It is reported and never deleted."""

    store: Store
    key: str


@dataclass(slots=True)
class Report:
    """The findings of one tenant, and what was changed. `removed` and `adopted` are also among the orphans.

    `reconciled` are ids of recordings that were changed to match Cloudflare. `compared` is False if the comparison with
    Cloudflare was incomplete; its findings hold nevertheless. `incomplete` says what else was not done. `held`: orphans
    were not deleted, because the tenant has no recordings at all.
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
        """Add the report of more rooms of the same tenant."""
        self.recordings += more.recordings
        self.files += more.files
        for kind in (*KINDS, "incomplete"):
            getattr(self, kind).extend(getattr(more, kind))
        self.compared = self.compared and more.compared
        self.held = self.held or more.held

    @property
    def counts(self) -> Counter[str]:
        """The number of entries of each kind."""
        return Counter({kind: len(getattr(self, kind)) for kind in KINDS})

    @property
    def alarming(self) -> Counter[str]:
        """The number of findings that need an operator: confirmed phantoms, and files with other bytes."""
        return Counter(
            confirmed_phantoms=sum(phantom.confirmation.confirmed for phantom in self.phantoms),
            changed_files=sum(mismatch.kind != "status" for mismatch in self.mismatches),
        )

    def document(self, max_rows: int) -> dict[str, Any]:
        """Return the report as JSON has it, with at most so many rows of each kind. The counts are of all rows."""
        document = {one.name: getattr(self, one.name) for one in fields(self)}
        rows = {kind: [_row(row) for row in document[kind][:max_rows]] for kind in KINDS}
        return {**document, **rows, "counts": self.counts}


FOUND: Final = ("orphans", "phantoms", "mismatches", "stalled")
DONE: Final = ("removed", "adopted", "reconciled")
KINDS: Final = (*FOUND, *DONE)


def _row(row: Any) -> Any:
    return row if isinstance(row, str) else _plain(asdict(row))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write times as text, and the fields of a confirmation beside those of its row."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if name == "confirmation":
            plain |= _plain(value) if value is not None else {}
        else:
            plain[name] = value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
    return plain


@dataclass(slots=True)
class ReportDocuments:
    """The reports that fit into one response: `max_rows` rows of each kind, and `max_bytes` in all.

    Empty reports are left out unless `include_empty`. `omitted` counts the reports that do not fit.
    """

    max_rows: int
    max_bytes: int
    include_empty: bool = False
    reports: list[dict[str, Any]] = field(default_factory=list)
    omitted: int = 0

    def add(self, report: Report) -> None:
        """Add a report if it is not empty and fits."""
        if not (self.include_empty or report.counts.total() or report.incomplete):
            return
        document = report.document(self.max_rows)
        self.max_bytes -= len(json.dumps(document))
        if self.max_bytes < 0:
            self.omitted += 1
        else:
            self.reports.append(document)
