"""Compare both buckets and Cloudflare with the table, for one tenant or for all, within a bounded time."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

from recordings.domain.reconciliation import Deadlines
from recordings.domain.room_range import RoomRange
from recordings.domain.storage_keys import DELIVERED, QUARANTINE, ROOTS
from recordings.domain.stored_file import Store
from recordings.ports.executions import ProcessingExecutions
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import OpenFindings, Recordings, Rooms, Tenants
from recordings.ports.storage import ObjectStore
from recordings.ports.system import Clock
from recordings.services.audit.judge import MIN_ORPHAN_AGE, ConfirmFindings, JudgeFiles
from recordings.services.audit.provider_listing import Backoff, ListProviderRecordings, ProviderListing
from recordings.services.audit.repair import CompareWithProvider, DeleteOrphans
from recordings.services.audit.report import KINDS, Report, UnassignedObject
from recordings.services.audit.scan import AuditStep, OutOfTime, scan_rooms
from recordings.services.sync.reconcile_recording import ReconcileRecording

# The function's time-out is 900 seconds. The rest is for the slowest call of the last tenant, and for the response.
MAX_DURATION: Final = timedelta(minutes=12)
# Cloudflare's listing waits for the rate limit. It may take this part of the time.
MAX_LISTING_DURATION: Final = timedelta(minutes=6)
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tenant that an execution did not finish, and the folder of its last audited room."""

    tenant_id: str
    after: str


@dataclass(slots=True)
class AuditResult:
    """What one execution did. `tenants` counts the tenants that it finished, `totals` the entries of their reports.

    `incomplete` says what could not be checked or done. `left` counts the tenants that were not finished: the next
    execution resumes them with `unless_since=began` and with the `checkpoint`. `advanced` is False if this execution
    finished no step, so another one would not either. `unregistered` counts recordings at Cloudflare whose meeting no
    tenant owns, and `unassigned` lists objects outside of every tenant's folder; an audit of one tenant has neither.
    `known` is False if the requested tenant has nothing at all.
    """

    began: datetime
    tenants: int = 0
    totals: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(KINDS, 0)))
    alarming: Counter[str] = field(default_factory=Counter)
    incomplete: list[str] = field(default_factory=list)
    left: int = 0
    checkpoint: Checkpoint | None = None
    advanced: bool = False
    unregistered: int = 0
    unassigned: list[UnassignedObject] = field(default_factory=list)
    known: bool = True

    def resumes(self, tenant_id: str) -> str | None:
        """Return the folder after which the audit of a tenant resumes, or None to begin it."""
        checkpoint = self.checkpoint
        return checkpoint.after if checkpoint is not None and checkpoint.tenant_id == tenant_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """The arguments of one execution."""

    report: Callable[[Report], None]
    listing: ProviderListing
    repair: bool
    min_age: timedelta
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStorage:
    """Nothing is changed without `repair`.

    With it, confirmed orphans are deleted, Cloudflare's recordings imported, and stuck recordings reconciled. A file
    that a recording owns is never deleted.
    """

    tenants: Tenants
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    executions: ProcessingExecutions
    stores: Mapping[Store, ObjectStore]
    open_findings: OpenFindings
    reconcile: ReconcileRecording
    backoff: Backoff
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(
        self,
        report: Callable[[Report], None],
        *,
        tenant_id: str | None = None,
        repair: bool = False,
        min_age: timedelta = MIN_ORPHAN_AGE,
        unless_since: datetime | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> AuditResult:
        """Audit one tenant, or all tenants whose last audit is older than `unless_since`, the oldest first.

        `checkpoint` resumes the tenant that the previous execution did not finish. `report` receives the report of each
        tenant. An object that is not older than `min_age` is no orphan.

        Raises:
            Throttled, InfrastructureError: DynamoDB, Step Functions or a bucket failed
        """
        result = AuditResult(began=self.clock(), checkpoint=checkpoint)
        list_provider_recordings = ListProviderRecordings(
            rooms=self.rooms,
            recordings=self.recordings,
            provider=self.provider,
            backoff=self.backoff,
            clock=self.clock,
        )
        listing = list_provider_recordings(tenant_id, until=result.began + MAX_LISTING_DURATION)
        request = _Request(
            report=report,
            listing=listing,
            repair=repair,
            min_age=min_age,
            until=result.began + MAX_DURATION,
        )
        if tenant_id is not None:
            self._audit_tenants([tenant_id], request, result)
        else:
            self._audit_tenants(self._due(listing, result, unless_since), request, result)
            result.unregistered = listing.unregistered
        if listing.incomplete is not None:
            result.incomplete.append(f"Cloudflare could not be compared whole ({listing.incomplete})")
        return result

    def _audit_tenants(self, due: Sequence[str], request: _Request, result: AuditResult) -> None:
        if result.checkpoint is not None and result.checkpoint.tenant_id not in due:
            result.checkpoint = None
        resumed = result.checkpoint.tenant_id if result.checkpoint is not None else None
        # The resumed tenant first: there is one checkpoint, so only one tenant may be unfinished.
        for number, tenant_id in enumerate(sorted(due, key=lambda one: one != resumed)):
            if self.clock() >= request.until or not self._finishes(tenant_id, request, result, first=number == 0):
                result.left = len(due) - number
                return

    def _finishes(self, tenant_id: str, request: _Request, result: AuditResult, *, first: bool) -> bool:
        """Audit a tenant. Return False if the next execution must resume it."""
        began, before = self.clock(), result.resumes(tenant_id)
        try:
            report, after = self._audit_tenant(tenant_id, request, after=before)
        except OutOfTime:
            if not first:
                # The next execution has all of its time for this tenant.
                return False
            # A tenant with a room that takes too long counts as audited. Otherwise it would be the first and the only
            # one of every execution.
            result.incomplete.append(f"the time was over in the middle of a room of tenant {tenant_id}")
            self._finish(tenant_id, began, before, result)
            return True
        if self._is_unknown(tenant_id, report, resumed=before is not None or after is not None):
            result.known = False
            return True
        result.totals.update(report.counts)
        result.alarming.update(report.alarming)
        result.incomplete += [f"{tenant_id}: {why}" for why in report.incomplete]
        request.report(report)
        result.advanced = True
        if after is not None:
            result.checkpoint = Checkpoint(tenant_id, after)
            return False
        result.tenants += 1
        self._finish(tenant_id, began, before, result)
        return True

    def _finish(self, tenant_id: str, began: datetime, resumed_after: str | None, result: AuditResult) -> None:
        result.advanced = True
        if resumed_after is not None:
            result.checkpoint = None
        self.tenants.note_audit(tenant_id, at=began)

    def _is_unknown(self, tenant_id: str, report: Report, *, resumed: bool) -> bool:
        if resumed or report.recordings or report.files or report.counts.total():
            return False
        return tenant_id not in self.tenants.get_all()

    def _audit_tenant(self, tenant_id: str, request: _Request, *, after: str | None) -> tuple[Report, str | None]:
        """Audit the rooms of a tenant whose folders follow `after`, in steps.

        Return the report and, if the time was over, the folder of the last audited room. A step that did not see
        everything of its rooms reports nothing.

        Raises:
            OutOfTime: the time was over in the first step
            Throttled, InfrastructureError: DynamoDB, Step Functions or a bucket failed
        """
        report, low = Report(tenant_id), after
        try:
            for high, objects in scan_rooms(self.stores, tenant_id, after=after, until=request.until, clock=self.clock):
                step = AuditStep(
                    report=Report(tenant_id),
                    rooms=RoomRange(low, high),
                    listing=request.listing,
                    now=self.clock(),
                    until=request.until,
                    repair=request.repair,
                )
                self._judge_files()(step, objects, min_age=request.min_age)
                self._compare_with_provider()(step)
                ConfirmFindings(open_findings=self.open_findings)(step)
                if step.repair:
                    self._delete_orphans()(step)
                step.report.compared = step.listing.incomplete is None
                report.add(step.report)
                low = high
        except OutOfTime:
            if low == after:
                raise
            return report, low
        return report, None

    def _judge_files(self) -> JudgeFiles:
        return JudgeFiles(
            recordings=self.recordings,
            executions=self.executions,
            stores=self.stores,
            clock=self.clock,
            deadlines=self.deadlines,
        )

    def _compare_with_provider(self) -> CompareWithProvider:
        return CompareWithProvider(
            rooms=self.rooms,
            recordings=self.recordings,
            provider=self.provider,
            executions=self.executions,
            reconcile=self.reconcile,
            backoff=self.backoff,
            clock=self.clock,
            deadlines=self.deadlines,
        )

    def _delete_orphans(self) -> DeleteOrphans:
        return DeleteOrphans(
            recordings=self.recordings, stores=self.stores, open_findings=self.open_findings, clock=self.clock
        )

    def _due(self, listing: ProviderListing, result: AuditResult, unless_since: datetime | None) -> Sequence[str]:
        """Return the tenants that are due. A tenant is known by a room, an unfinished recording, an object, an
        unfinished upload or a recording at Cloudflare."""
        known: dict[str, datetime | None] = dict.fromkeys(listing.unknown)
        known |= dict.fromkeys(recording.tenant_id for recording in self.recordings.list_unfinished())
        unassigned: dict[tuple[Store, str], None] = {}
        for store, root, name in self._names():
            folder, slash, _ = name.partition("/")
            tenant_id = unquote(folder)
            if slash and folder and quote(tenant_id, safe="") == folder:
                known[tenant_id] = None
            else:
                # It is in no folder, or in a folder that no tenant id is encoded to.
                unassigned[store, root + name] = None
        result.unassigned = [UnassignedObject(store=store, key=key) for store, key in unassigned]
        known |= self.tenants.get_all()
        due = [one for one, at in known.items() if unless_since is None or at is None or at < unless_since]
        return sorted(due, key=lambda one: (known[one] or NEVER, one))

    def _names(self) -> Iterator[tuple[Store, str, str]]:
        """Iterate over store, root and name of what is directly below the roots of the tenants' folders."""
        for store, bucket in self.stores.items():
            for root in ROOTS[store]:
                uploads = (upload.key.removeprefix(root) for upload in bucket.list_uploads(root))
                for name in (*bucket.list_names(root), *uploads):
                    if root or name.partition("/")[0] not in {DELIVERED, QUARANTINE}:
                        yield store, root, name
