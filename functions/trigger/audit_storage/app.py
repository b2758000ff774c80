"""Audit task, or by hand: compare what is stored, and what Cloudflare holds, with the records; or repair that."""

import time
from datetime import datetime, timedelta

from recordings.adapters.aws.executions import ProcessingStateMachine
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.dynamodb.audit import DynamoOpenFindings, DynamoTenants
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.storage.archive import ArchiveBucket
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import deadlines, new_id, now
from recordings.domain.errors import Invalid
from recordings.domain.recording import Store
from recordings.observability import count, logger
from recordings.services.audit.audit_captures import ListProviderRecordings, Patience
from recordings.services.audit.audit_everything import AuditEverything, Checkpoint
from recordings.services.audit.audit_report import Answer, Report
from recordings.services.audit.audit_storage import YOUNG, AuditStorage, Shelf
from recordings.services.sync.reconcile_recording import ReconcileRecording
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

rooms, recordings, workflow = DynamoRooms(), DynamoRecordings(), ProcessingStateMachine()
# Waiting costs a few minutes of one small function a week, and makes the comparison whole.
recorder, patience = RealtimeKitClient(DynamoRateLimiter("background")), Patience(clock=now, wait=time.sleep)
r2 = R2Bucket()
shelves: dict[Store, Shelf] = {"r2": r2, "s3": ArchiveBucket()}
reconcile = ReconcileRecording(
    recordings=recordings,
    recorder=recorder,
    workflow=workflow,
    files=r2,
    clock=now,
    new_id=new_id,
    deadlines=deadlines(),
)
storage = AuditStorage(
    rooms=rooms,
    recordings=recordings,
    recorder=recorder,
    workflow=workflow,
    shelves=shelves,
    suspects=DynamoOpenFindings(),
    reconcile=reconcile,
    patience=patience,
    clock=now,
    deadlines=deadlines(),
)
captures = ListProviderRecordings(rooms=rooms, recordings=recordings, recorder=recorder, patience=patience, clock=now)
audit = AuditEverything(
    tenants=DynamoTenants(), recordings=recordings, shelves=shelves, captures=captures, storage=storage, clock=now
)
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

    done = audit(
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
