"""Audit task, or invoked by an operator: compare buckets and Cloudflare with the table, and repair if asked."""

from datetime import timedelta

from recordings.observability import count, logger
from recordings.services.audit.audit_storage import AuditResult
from recordings.services.audit.judge import MIN_ORPHAN_AGE
from recordings.services.audit.report import Report, ReportDocuments
from recordings.wiring import trigger as wiring
from recordings.workflow.messages.audit import AuditProgress, AuditStorageInput, AuditStorageOutput
from recordings.workflow.task import task_of

audit_storage = wiring.audit_storage()
# A response holds 6 MB at most (Lambda Developer Guide, "Quotas").
MAX_REPORT_BYTES = 5_000_000


@task_of("audit")
def handler(message: AuditStorageInput) -> AuditProgress:
    one_tenant = message.tenant_id is not None
    documents = ReportDocuments(
        max_rows=1000 if one_tenant else 100, max_bytes=MAX_REPORT_BYTES, include_empty=one_tenant
    )

    def report(found: Report) -> None:
        logger.info("audited", tenant_id=found.tenant_id, found=found.counts, compared=found.compared)
        documents.add(found)

    result = audit_storage(
        report,
        tenant_id=message.tenant_id,
        repair=message.repair,
        min_age=timedelta(hours=message.min_age_hours) if message.min_age_hours is not None else MIN_ORPHAN_AGE,
        unless_since=message.not_audited_since,
        checkpoint=message.checkpoint,
    )
    count_findings(result)
    if message.progress_only:
        return AuditProgress.from_result(result)
    return AuditStorageOutput.with_reports(result, documents)


def count_findings(result: AuditResult) -> None:
    confirmed = result.alarming["confirmed_phantoms"]
    for kind, total in result.totals.items():
        count(f"Audit{kind.title()}", total if kind != "phantoms" else confirmed)
    count("AuditUnconfirmedPhantoms", result.totals["phantoms"] - confirmed)
    count("AuditChangedFiles", result.alarming["changed_files"])
    # The next invocation audits the remaining tenants, unless this one made no progress.
    count("AuditIncomplete", int(bool(result.incomplete or (result.left and not result.advanced))))
