"""Audit one tenant or all of them within a bounded time, and say what could not be done in it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote, unquote

from recordings.domain.storage_keys import DELIVERED, QUARANTINE, ROOTS
from recordings.domain.stored_file import Store
from recordings.ports.repositories import Recordings, Tenants
from recordings.ports.system import Clock
from recordings.services.audit.audit_captures import Captures, ListProviderRecordings
from recordings.services.audit.audit_report import KINDS, Report, Stray
from recordings.services.audit.audit_storage import YOUNG, AuditStorage, OutOfTime, Shelf

# The function ends at 900 seconds; what is left of them is for the last tenant's slowest call and for the answer.
LONGEST: Final = timedelta(minutes=12)
# Of that Cloudflare's list may take so much: it waits for the budget of calls.
LONGEST_LISTING: Final = timedelta(minutes=6)
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tenant that is not looked at to the end, and the folder of the last room that was."""

    tenant_id: str
    after: str


@dataclass(slots=True)
class Audit:
    """What a run did: the totals of its reports, and how many `tenants` were looked at to the end.

    `incomplete` says what could not be seen or done. `left` is how many tenants were not reached, or not to the end: a
    run over all who have not been audited since this one `began` goes on with them, and within the tenant that is named
    by `goes_on`. `moved`: whether this run came any further, so that there is a point in going on. `unregistered`
    captures at Cloudflare belong to no room, `strays` to no tenant; both are told of a run over all tenants. `known` is
    false when a tenant was asked for of whom there is nothing.
    """

    began: datetime
    tenants: int = 0
    totals: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(KINDS, 0)))
    alarming: Counter[str] = field(default_factory=Counter)
    incomplete: list[str] = field(default_factory=list)
    left: int = 0
    goes_on: Checkpoint | None = None
    moved: bool = False
    unregistered: int = 0
    strays: list[Stray] = field(default_factory=list)
    known: bool = True

    def document(self, most: int) -> dict[str, Any]:
        """As JSON has it, with so many strays at most."""
        return {
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "began": self.began.isoformat(),
            "goes_on": asdict(self.goes_on) if self.goes_on is not None else None,
            "strays": [asdict(one) for one in self.strays[:most]],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEverything:
    """`tell` is handed each report as it is made."""

    tenants: Tenants
    recordings: Recordings
    shelves: Mapping[Store, Shelf]
    provider_recordings: ListProviderRecordings
    storage: AuditStorage
    clock: Clock

    def __call__(
        self,
        tell: Callable[[Report], None],
        *,
        tenant_id: str | None = None,
        repair: bool = False,
        min_age: timedelta = YOUNG,
        unless_since: datetime | None = None,
        goes_on: Checkpoint | None = None,
    ) -> Audit:
        """Audit a tenant, or all who have not been audited since then, and first whose last audit is the oldest.

        A tenant that an earlier run was not through with (`goes_on`) is gone on with. Raises what the stores raise.
        """
        audit = Audit(began=self.clock(), goes_on=goes_on)
        until = audit.began + LONGEST
        provider_recordings = self.provider_recordings(tenant_id, until=audit.began + LONGEST_LISTING)
        look = partial(
            self.storage, provider_recordings=provider_recordings, repair=repair, until=until, min_age=min_age
        )
        if tenant_id is not None:
            self._look_at_all([tenant_id], look, audit, tell, until)
        else:
            self._look_at_all(self._waiting(provider_recordings, audit, unless_since), look, audit, tell, until)
            audit.unregistered = provider_recordings.unregistered
        if provider_recordings.incomplete is not None:
            audit.incomplete.append(f"Cloudflare could not be compared whole ({provider_recordings.incomplete})")
        return audit

    def _look_at_all(
        self,
        waiting: Sequence[str],
        look: Callable[..., tuple[Report, str | None]],
        audit: Audit,
        tell: Callable[[Report], None],
        until: datetime,
    ) -> None:
        if audit.goes_on is not None and audit.goes_on.tenant_id not in waiting:
            audit.goes_on = None
        half = audit.goes_on.tenant_id if audit.goes_on is not None else None
        # Before all others: of two tenants that are half done only one would be remembered.
        for number, tenant_id in enumerate(sorted(waiting, key=lambda one: one != half)):
            if self.clock() >= until or not self._look(tenant_id, look, audit, tell, first=number == 0):
                audit.left = len(waiting) - number
                return

    def _look(
        self,
        tenant_id: str,
        look: Callable[..., tuple[Report, str | None]],
        audit: Audit,
        tell: Callable[[Report], None],
        *,
        first: bool,
    ) -> bool:
        """Give whether the tenant was looked at to its end, or will never be."""
        began = self.clock()
        before = audit.goes_on.after if audit.goes_on is not None and audit.goes_on.tenant_id == tenant_id else None
        try:
            report, after = look(tenant_id, after=before)
        except OutOfTime:
            if not first:
                # The next run has all of its time for it.
                return False
            audit.incomplete.append(f"the time was over in the middle of a room of tenant {tenant_id}")
            report, after = None, None
        if report is not None:
            something = report.recordings or report.files or report.counts.total()
            if not (something or before or after or tenant_id in self.tenants.get_all()):
                audit.known = False
                return True
            audit.totals.update(report.counts)
            audit.alarming.update(report.alarming)
            audit.incomplete += [f"{tenant_id}: {why}" for why in report.incomplete]
            tell(report)
        audit.moved = True
        if after is not None:
            audit.goes_on = Checkpoint(tenant_id, after)
            return False
        if before is not None:
            audit.goes_on = None
        audit.tenants += report is not None
        # One that takes too long as well: else it would be the first of every run, and the last.
        self.tenants.note_audit(tenant_id, at=began)
        return True

    def _waiting(self, provider_recordings: Captures, audit: Audit, unless_since: datetime | None) -> Sequence[str]:
        """Whoever has, or has had, a room, an open recording, a file, an unfinished upload or a capture."""
        known: dict[str, datetime | None] = dict.fromkeys(provider_recordings.unknown)
        known |= dict.fromkeys(recording.tenant_id for recording in self.recordings.list_unfinished())
        strays: dict[tuple[Store, str], None] = {}
        for store, root, name in self._entries():
            folder, slash, _ = name.partition("/")
            tenant_id = unquote(folder)
            if slash and folder and quote(tenant_id, safe="") == folder:
                known[tenant_id] = None
            else:
                # It is in no folder, or in one that is spelled as no tenant's is.
                strays[store, root + name] = None
        audit.strays = [Stray(store=store, key=key) for store, key in strays]
        known |= self.tenants.get_all()
        waiting = [one for one, at in known.items() if unless_since is None or at is None or at < unless_since]
        return sorted(waiting, key=lambda one: (known[one] or NEVER, one))

    def _entries(self) -> Iterator[tuple[Store, str, str]]:
        """What lies right under the roots of the tenants' folders, whole or unfinished: store, root and name."""
        for store, shelf in self.shelves.items():
            for root in ROOTS[store]:
                unfinished = (key.removeprefix(root) for key, _, _ in shelf.begun_uploads(root))
                for name in (*shelf.entries(root), *unfinished):
                    if root or name.partition("/")[0] not in {DELIVERED, QUARANTINE}:
                        yield store, root, name
