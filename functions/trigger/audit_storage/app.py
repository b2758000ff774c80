"""Audit task, or invoked by an operator: compare buckets and Cloudflare with the table, and repair if asked."""

from datetime import timedelta

from recordings.observability import count, logger
from recordings.services.audit.audit_everything import Audit
from recordings.services.audit.audit_report import Answer, Report
from recordings.services.audit.audit_storage import YOUNG
from recordings.wiring import trigger as wiring
from recordings.workflow.messages.audit import AuditProgress, AuditStorageInput, AuditStorageOutput
from recordings.workflow.task import task

audit_storage = wiring.audit_storage()
# A response holds 6 MB at most (Lambda Developer Guide, "Quotas").
MAX_REPORT_BYTES = 5_000_000
MAX_STRAYS = 100


@task
def handler(message: AuditStorageInput) -> AuditProgress:
    one_tenant = message.tenant_id is not None
    answer = Answer(most=1000 if one_tenant else 100, room=MAX_REPORT_BYTES, everybody=one_tenant)

    def report(found: Report) -> None:
        logger.info("audited", tenant_id=found.tenant_id, found=found.counts, compared=found.compared)
        answer.add(found)

    audit = audit_storage(
        report,
        tenant_id=message.tenant_id,
        repair=message.repair,
        min_age=timedelta(hours=message.min_age_hours) if message.min_age_hours is not None else YOUNG,
        unless_since=message.not_audited_since,
        goes_on=message.checkpoint,
    )
    count_findings(audit)
    document = audit.document(most=MAX_STRAYS)
    progress = {
        "started_at": audit.began,
        "remaining_tenants": audit.left,
        "checkpoint": audit.goes_on,
        "progressed": audit.moved,
    }
    if message.progress_only:
        return AuditProgress.model_validate(progress)
    return AuditStorageOutput.model_validate(
        document | progress | {"reports": answer.reports, "omitted": answer.omitted}
    )


def count_findings(audit: Audit) -> None:
    confirmed = audit.alarming["confirmed_phantoms"]
    for kind, total in audit.totals.items():
        count(f"Audit{kind.title()}", total if kind != "phantoms" else confirmed)
    count("AuditSuspectedPhantoms", audit.totals["phantoms"] - confirmed)
    count("AuditChangedFiles", audit.alarming["changed_files"])
    # The next invocation audits the remaining tenants, unless this one made no progress.
    count("AuditIncomplete", int(bool(audit.incomplete or (audit.left and not audit.moved))))
