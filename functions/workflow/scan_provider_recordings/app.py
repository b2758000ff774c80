"""Sync task: list Cloudflare's recordings, and find those that differ from the table."""

from dataclasses import asdict
from datetime import datetime

from recordings.domain.sync import SyncWindow
from recordings.observability import count, logger
from recordings.wiring import sync as wiring
from recordings.workflow.messages.base import Payload
from recordings.workflow.task import task

scan_provider_recordings = wiring.scan_provider_recordings()
UNFINISHED = {
    "recording": "RecordingsRunning",
    "processing": "RecordingsProcessing",
    "stalled": "RecordingsWaiting",
    "archived": "RecordingsMoving",
}


@task
def handler(payload: Payload) -> Payload:
    watermark, last = (datetime.fromisoformat(at) if at else None for at in (payload["watermark"], payload["last"]))
    window = SyncWindow(watermark, payload["full"], last)
    scan = scan_provider_recordings(window, payload["page"], nonce=payload["nonce"])
    count("CapturesWithoutRoom", scan.unregistered)
    if payload["page"] == 1:
        # Only the first scan of a sync reads the list of unfinished recordings.
        for status, name in UNFINISHED.items():
            count(name, scan.unfinished[status])
    logger.info("scanned", seen=scan.seen, unregistered=scan.unregistered, batches=len(scan.batches))
    return {
        "batches": [[asdict(item) for item in batch] for batch in scan.batches],
        "newest": scan.newest.isoformat() if scan.newest else None,
        "next_page": scan.next_page,
    }
