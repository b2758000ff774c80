"""List Cloudflare's recordings, and find those that differ from our table."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Final

from recordings.domain.lifecycle import Status
from recordings.domain.meeting import owner_of
from recordings.domain.provider_recording import FILE_RETENTION, ProviderRecording, ends_before, started_since
from recordings.domain.reconciliation import SETTLED, Action, Deadlines, reconcile
from recordings.domain.recording import Recording
from recordings.domain.sync import SyncItem, SyncWindow
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, RetryQueue, Rooms, SyncLease
from recordings.ports.system import Clock
from recordings.services.sync.begin_sync import LEASE_DURATION

BATCH_SIZE: Final = 20
# The state of a Step Functions execution holds 256 KiB (Step Functions Developer Guide, "Quotas"). One scan stops after
# this many pages, or after the page with which its items exceed the first size. The second size limits the items from
# our own lists. Together they leave space for a page of the longest names.
MAX_PAGES: Final = 8
MAX_LISTED_BYTES: Final = 90 * 1024
MAX_OWN_BYTES: Final = 70 * 1024
# A listing may lag, and clocks differ, so each sync lists this far behind the watermark.
OVERLAP: Final = timedelta(hours=1)
# An operator must know of a file that Cloudflare deletes this soon and that is not stored yet.
EXPIRES_SOON: Final = timedelta(hours=48)


@dataclass(slots=True)
class Scan:
    """What one scan found.

    `newest` is the start time of the newest recording, None if no recording was listed. `seen` counts the listed
    recordings, `unregistered` those whose meeting no tenant owns. `next_page` is None after the last page. `unfinished`
    counts the unfinished recordings of all tenants by status, or as `stalled`. Only the first scan of a sync fills it.
    """

    batches: list[list[SyncItem]] = field(default_factory=list)
    newest: datetime | None = None
    seen: int = 0
    unregistered: int = 0
    next_page: int | None = None
    unfinished: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Listing:
    """The pages of one scan: the recordings they hold, and the items that these require."""

    recordings: dict[str, ProviderRecording] = field(default_factory=dict)
    items: dict[str, SyncItem] = field(default_factory=dict)
    size_bytes: int = 0

    def add(self, provider_recording: ProviderRecording, item: SyncItem | None) -> None:
        self.recordings[provider_recording.cloudflare_recording_id] = provider_recording
        if item is not None and provider_recording.cloudflare_recording_id not in self.items:
            self.items[provider_recording.cloudflare_recording_id] = item
            self.size_bytes += _size_bytes(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanProviderRecordings:
    lease: SyncLease
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    retry_queue: RetryQueue
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def __call__(self, window: SyncWindow, page: int, *, nonce: str) -> Scan:
        """Compare a few pages of Cloudflare's recordings with our table, beginning with `page`, counted from 1.

        The scan that begins with page 1 also checks our own lists: the retry queue and the unfinished recordings.
        Renews the lease if `nonce` still holds it.

        Raises:
            ProviderFailure: the watermark must stay, so that the next sync lists the same recordings again
            Throttled: DynamoDB is busy or does not respond
        """
        self.lease.renew(nonce=nonce, until=self.clock() + LEASE_DURATION)
        scan, listing = Scan(), _Listing()
        oldest, number, has_more = self._oldest(window), page, True
        while has_more and number < page + MAX_PAGES and listing.size_bytes < MAX_LISTED_BYTES:
            has_more = self._scan_page(number, oldest, scan, listing, full=window.full)
            number += 1
        scan.seen = len(listing.recordings)
        items = listing.items
        if page == 1:
            # An item of the retry queue replaces the listed one: its success removes it from the queue.
            items = items | self._own_items(listing, window.previous_started_at, scan)
        scan.next_page = number if has_more else None
        scan.batches = [list(batch) for batch in batched(items.values(), BATCH_SIZE, strict=False)]
        return scan

    def _oldest(self, window: SyncWindow) -> datetime | None:
        """Return the start time at which the list ends, or None to list everything."""
        if window.watermark is None:
            return None
        oldest = window.watermark - OVERLAP
        # Cloudflare holds no file of older recordings, and the very first sync has listed them.
        return min(oldest, self.clock() - FILE_RETENTION) if window.full else oldest

    def _scan_page(self, number: int, oldest: datetime | None, scan: Scan, listing: _Listing, *, full: bool) -> bool:
        """Compare one page. Return whether another page follows."""
        page, has_more = self.provider.list_page(number)
        known = self.recordings.find_by_cloudflare_recording_ids(
            [provider_recording.cloudflare_recording_id for provider_recording in page]
        )
        if oldest is not None:
            has_more = has_more and not ends_before(page, oldest)
            page = [*started_since(page, oldest)]
        for provider_recording in page:
            # A start time in the future would hide everything that begins before it.
            began_at = min(provider_recording.invoked_at, self.clock())
            scan.newest = max(scan.newest or began_at, began_at)
            listing.add(provider_recording, self._compare(provider_recording, known, scan, full=full))
        return has_more

    def _own_items(self, listing: _Listing, previous_started_at: datetime | None, scan: Scan) -> dict[str, SyncItem]:
        """Return the items that no listing requires: those of the retry queue, and recordings that may be stuck."""
        items = {
            name: item
            for item in self.retry_queue.list_all()
            if (name := item.cloudflare_recording_id or item.meeting_id) is not None
        }
        for recording in self.recordings.list_unfinished():
            scan.unfinished["stalled" if recording.stalled else recording.status.value] += 1
            name = recording.cloudflare_recording_id or recording.id
            if name in listing.items or name in items:
                continue
            if self._requires_item(recording, listing.recordings, previous_started_at):
                items[name] = SyncItem.of_recording(recording)
        return _sample(items)

    def _compare(
        self, provider_recording: ProviderRecording, known: Mapping[str, Recording | None], scan: Scan, *, full: bool
    ) -> SyncItem | None:
        if provider_recording.cloudflare_recording_id not in known:
            return self._compare_unknown(provider_recording, scan)
        recording = known[provider_recording.cloudflare_recording_id]
        # A purged recording does not come back.
        if recording is None or not self._differs(recording, provider_recording, full=full):
            return None
        return SyncItem.of_recording(recording)

    def _compare_unknown(self, provider_recording: ProviderRecording, scan: Scan) -> SyncItem | None:
        meeting_id = provider_recording.meeting_id or provider_recording.likely_meeting_id
        ownership = self.rooms.find_meeting_ownership(meeting_id) if meeting_id is not None else None
        if owner_of(ownership, provider_recording, holding_room=None) is None:
            scan.unregistered += 1
            return None
        if reconcile(None, provider_recording, now=self.clock(), deadlines=self.deadlines).action is Action.NOTHING:
            # A track recording is not imported before it has ended.
            return None
        return SyncItem(
            cloudflare_recording_id=provider_recording.cloudflare_recording_id,
            meeting_id=meeting_id,
            meeting_confirmed=provider_recording.meeting_id is not None,
        )

    def _differs(self, recording: Recording, provider_recording: ProviderRecording, *, full: bool) -> bool:
        now = self.clock()
        if is_expiring(recording, provider_recording, now):
            return True
        if full and recording.superseded_delivery is not None:
            # Once a day, for as long as Cloudflare may still deliver.
            return True
        decision = reconcile(recording, provider_recording, now=now, deadlines=self.deadlines)
        return decision.action not in SETTLED or decision.missing_since != recording.missing_since

    def _requires_item(
        self, recording: Recording, listed: Mapping[str, ProviderRecording], previous_started_at: datetime | None
    ) -> bool:
        """Return whether an unfinished recording must be processed although the listing does not require it."""
        now = self.clock()
        if recording.status is Status.ARCHIVED:
            return recording.archive_overdue(now)
        if recording.next_attempt_at is not None and recording.next_attempt_at > now:
            return False
        if recording.cloudflare_recording_id not in listed:
            return True
        if recording.status is Status.RECORDING:
            return self._session_check_is_due(recording, now, previous_started_at)
        return recording.status is Status.PROCESSING and not recording.recently_started(now)

    def _session_check_is_due(self, recording: Recording, now: datetime, previous_started_at: datetime | None) -> bool:
        """Return whether a multiple of the session deadline lies between the previous sync and now.

        The listing does not say whether the session of a recording has ended.
        """
        age = now - recording.started_at
        previous_age = (previous_started_at or recording.started_at) - recording.started_at
        return age // self.deadlines.session > previous_age // self.deadlines.session


def is_expiring(recording: Recording, provider_recording: ProviderRecording, now: datetime) -> bool:
    """Return whether Cloudflare deletes a file soon that is not stored yet."""
    expires_at = provider_recording.expires_at
    return recording.status is Status.PROCESSING and expires_at is not None and expires_at - now < EXPIRES_SOON


def _size_bytes(item: SyncItem) -> int:
    """Return the size of an item in the state of an execution."""
    return len(json.dumps(asdict(item)))


def _sample(items: dict[str, SyncItem]) -> dict[str, SyncItem]:
    """Return all items, or a random sample that fits. Later syncs process the others."""
    sample, size_bytes = dict[str, SyncItem](), 0
    for name, item in random.sample([*items.items()], len(items)):
        size_bytes += _size_bytes(item)
        if size_bytes > MAX_OWN_BYTES:
            break
        sample[name] = item
    return sample
