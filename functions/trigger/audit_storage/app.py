"""Weekly schedule, or by hand: compare what is stored with the records; `repair` removes what nobody owns."""

from dataclasses import asdict
from urllib.parse import unquote

from recordings.adapters.archive_store import ArchiveBucket
from recordings.adapters.dynamo import DynamoRecordings, DynamoSuspects
from recordings.adapters.object_store import R2
from recordings.adapters.system import now
from recordings.observability import count, logger
from recordings.services.audit_storage import AuditStorage
from recordings.workflow.task import Payload, task

audit = AuditStorage(
    recordings=DynamoRecordings(), shelves={"r2": R2(), "s3": ArchiveBucket()}, suspects=DynamoSuspects(), clock=now
)
KINDS = ("orphans", "removed", "phantoms", "mismatches", "stalled")
SHOWN = 100


@task
def handler(payload: Payload) -> Payload:
    tenants = [payload["tenant"]] if payload.get("tenant") else [unquote(folder) for folder in audit.tenants()]
    reports = [asdict(audit(tenant, repair=bool(payload.get("repair")))) for tenant in tenants]
    totals = {kind: sum(len(report[kind]) for report in reports) for kind in KINDS}
    for kind, total in totals.items():
        count(f"Audit{kind.title()}", total)
    for report in reports:
        logger.info("audited", tenant=report["tenant_id"], found={kind: len(report[kind]) for kind in KINDS})
        for orphan in (*report["orphans"], *report["removed"]):
            orphan["at"] = orphan["at"].isoformat()
        for kind in KINDS:
            # The answer of a function is bounded; the totals are of all.
            report[kind] = report[kind][:SHOWN]
    return {"totals": totals, "reports": reports[:SHOWN]}
