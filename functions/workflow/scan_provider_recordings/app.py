"""Sync task: list Cloudflare's recordings, and find those that differ from the table."""

from recordings.observability import count, logger
from recordings.wiring import sync as wiring
from recordings.workflow.messages.sync import ScanProviderRecordingsInput, ScanProviderRecordingsOutput
from recordings.workflow.task import task_of

scan_provider_recordings = wiring.scan_provider_recordings()
UNFINISHED = {
    "recording": "RecordingsRunning",
    "processing": "RecordingsProcessing",
    "stalled": "RecordingsWaiting",
    "archived": "RecordingsMoving",
}


@task_of("sync")
def handler(message: ScanProviderRecordingsInput) -> ScanProviderRecordingsOutput:
    scan = scan_provider_recordings(message.window, message.page, nonce=message.nonce)
    count("RecordingsWithoutRoom", scan.unregistered)
    if message.page == 1:
        # Only the first scan of a sync reads the list of unfinished recordings.
        for status, name in UNFINISHED.items():
            count(name, scan.unfinished[status])
    logger.info("scanned", seen=scan.seen, unregistered=scan.unregistered, batches=len(scan.batches))
    return ScanProviderRecordingsOutput(batches=scan.batches, watermark=scan.newest, next_page=scan.next_page)
