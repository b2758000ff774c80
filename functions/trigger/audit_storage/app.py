"""Audit task, or by hand: compare what is stored, and what Cloudflare holds, with the records; or repair that."""

from datetime import datetime, timedelta

from recordings.domain.errors import Invalid
from recordings.observability import count, logger
from recordings.services.audit.audit_everything import Checkpoint
from recordings.services.audit.audit_report import Answer, Report
from recordings.services.audit.audit_storage import YOUNG
from recordings.wiring import trigger as wiring
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

audit_storage = wiring.audit_storage()
# An answer holds 6 MB at most (Lambda, "Quotas").
ROOM = 5_000_000


@task
def handler(payload: Payload) -> Payload:
    tenant, since, on = payload.get("tenant"), payload.get("unless_since"), payload.get("goes_on")
    if tenant == "":
        raise Invalid("tenant must not be empty; without it all are audited")
    answer = Answer(most=1000 if tenant else 100, room=ROOM, everybody=tenant is not None)

    def tell(report: Report) -> None:
        logger.info("audited", tenant_id=report.tenant_id, found=report.counts, compared=report.compared)
        answer.add(report)

    done = audit_storage(
        tell,
        tenant_id=tenant,
        repair=payload.get("repair", False),
        min_age=timedelta(hours=payload["min_age_hours"]) if "min_age_hours" in payload else YOUNG,
        unless_since=datetime.fromisoformat(since) if since else None,
        goes_on=Checkpoint(**on) if on else None,
    )
    confirmed = done.alarming["confirmed_phantoms"]
    for kind, total in done.totals.items():
        count(f"Audit{kind.title()}", total if kind != "phantoms" else confirmed)
    count("AuditSuspectedPhantoms", done.totals["phantoms"] - confirmed)
    count("AuditChangedFiles", done.alarming["changed_files"])
    # Whoever is left is looked at by the next run, unless this one came no further.
    count("AuditIncomplete", int(bool(done.incomplete or (done.left and not done.moved))))
    told = done.document(most=100)
    if payload.get("quiet"):
        # A workflow's state has no room for what was found.
        return {name: told[name] for name in ("began", "left", "goes_on", "moved")}
    return {**told, "reports": answer.reports, "omitted": answer.omitted}
