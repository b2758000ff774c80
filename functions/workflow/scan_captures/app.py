"""Sync task: compare Cloudflare's list with our records."""

from datetime import datetime

from recordings.adapters.budget import CallBudget
from recordings.adapters.dynamo import DynamoRecordings, DynamoRooms
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.system import deadlines, now
from recordings.observability import count, logger
from recordings.services.sync_all import Begun, ScanCaptures
from recordings.workflow.task import Payload, task

scan_captures = ScanCaptures(
    rooms=DynamoRooms(),
    recordings=DynamoRecordings(),
    recorder=RealtimeKit(CallBudget(sweep=True)),
    clock=now,
    deadlines=deadlines(),
)


@task
def handler(payload: Payload) -> Payload:
    watermark = payload["watermark"]
    scan = scan_captures(
        Begun(datetime.fromisoformat(watermark) if watermark else None, payload["full"]), payload["page"]
    )
    count("CapturesWithoutRoom", scan.unregistered)
    count("FilesExpiringSoon", scan.expiring)
    logger.info("scanned", seen=scan.seen, unregistered=scan.unregistered, batches=len(scan.batches))
    newest = scan.newest.isoformat() if scan.newest else None
    return {"batches": scan.batches, "newest": newest, "next_page": scan.next_page}
