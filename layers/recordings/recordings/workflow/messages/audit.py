"""Messages of the audit, for its state machine and for operators who invoke the function."""

from dataclasses import asdict
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, Field

from recordings.services.audit.audit_storage import AuditResult, Checkpoint
from recordings.services.audit.report import ReportDocuments
from recordings.workflow.messages.base import Payload, TaskInput, TaskOutput, renamed

# How many objects outside of every tenant's folder an output lists.
MAX_STRAYS: Final = 100


class AuditStorageInput(TaskInput):
    """What to audit. Every field may be missing."""

    # None audits all tenants.
    tenant_id: Annotated[Annotated[str, Field(min_length=1)] | None, renamed("tenant_id", "tenant")] = None
    repair: bool = False
    # None is the default of the audit.
    min_age_hours: Annotated[int, Field(ge=0)] | None = None
    # Skips the tenants that were audited after this time.
    not_audited_since: Annotated[AwareDatetime | None, renamed("not_audited_since", "unless_since")] = None
    checkpoint: Annotated[Checkpoint | None, renamed("checkpoint", "goes_on")] = None
    # Leaves out the findings, for which the state of an execution has no room.
    progress_only: Annotated[bool, renamed("progress_only", "quiet")] = False


class AuditProgress(TaskOutput):
    """How far an invocation got. The next one gets `started_at` of the first, and the checkpoint."""

    started_at: AwareDatetime
    # How many tenants this invocation did not finish.
    remaining_tenants: int
    checkpoint: Checkpoint | None
    # False if another invocation would get no further either.
    progressed: bool

    @classmethod
    def from_result(cls, result: AuditResult) -> "AuditProgress":
        return AuditProgress(
            started_at=result.began,
            remaining_tenants=result.left,
            checkpoint=result.checkpoint,
            progressed=result.advanced,
        )

    def last_release_keys(self, payload: Payload) -> Payload:
        return {
            "began": payload["started_at"],
            "left": payload["remaining_tenants"],
            "goes_on": payload["checkpoint"],
            "moved": payload["progressed"],
        }


class AuditStorageOutput(AuditProgress):
    """Progress and findings. `omitted` counts the tenants whose reports did not fit."""

    tenants: int
    totals: dict[str, int]
    alarming: dict[str, int]
    incomplete: list[str]
    unregistered: int
    strays: list[dict[str, Any]]
    known: bool
    reports: list[dict[str, Any]]
    omitted: int

    @classmethod
    def with_reports(cls, result: AuditResult, documents: ReportDocuments) -> Self:
        return cls(
            **dict(AuditProgress.from_result(result)),
            tenants=result.tenants,
            totals=result.totals,
            alarming=result.alarming,
            incomplete=result.incomplete,
            unregistered=result.unregistered,
            strays=[asdict(one) for one in result.unassigned[:MAX_STRAYS]],
            known=result.known,
            reports=documents.reports,
            omitted=documents.omitted,
        )
