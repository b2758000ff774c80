"""Sync task: compare Cloudflare's list with our records."""

from datetime import datetime

from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.retry_queue import DynamoRetryQueue
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.dynamodb.sync_lease import DynamoSyncLease
from recordings.adapters.system import now
from recordings.observability import count, logger
from recordings.services.sync.sync_all import LEASE, ScanProviderRecordings, SyncWindow
from recordings.wiring.shared import deadlines, provider
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

state = DynamoSyncLease()
scan_provider_recordings = ScanProviderRecordings(
    rooms=DynamoRooms(),
    recordings=DynamoRecordings(),
    recorder=provider("background"),
    kept=DynamoRetryQueue(),
    clock=now,
    deadlines=deadlines(),
)

UNFINISHED = {
    "recording": "RecordingsRunning",
    "processing": "RecordingsProcessing",
    "stalled": "RecordingsWaiting",
    "archived": "RecordingsMoving",
}


@task
def handler(payload: Payload) -> Payload:
    state.renew(nonce=payload["nonce"], until=now() + LEASE)
    watermark, last = (datetime.fromisoformat(at) if at else None for at in (payload["watermark"], payload["last"]))
    scan = scan_provider_recordings(SyncWindow(watermark, payload["full"], last), payload["page"])
    count("CapturesWithoutRoom", scan.unregistered)
    if payload["page"] == 1:
        # With the first pages come our own lists, whole.
        for status, name in UNFINISHED.items():
            count(name, scan.unfinished[status])
    logger.info("scanned", seen=scan.seen, unregistered=scan.unregistered, batches=len(scan.batches))
    newest = scan.newest.isoformat() if scan.newest else None
    return {"batches": scan.batches, "newest": newest, "next_page": scan.next_page}
