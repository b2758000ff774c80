"""List Cloudflare's recordings, as far back as Cloudflare can hold a file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from recordings.domain.errors import ProviderFailure, ProviderThrottled, Throttled
from recordings.domain.meeting import RecordingOwner
from recordings.domain.provider_recording import FILE_RETENTION, ProviderRecording, ends_before, started_since
from recordings.domain.room import Room
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings, Rooms
from recordings.ports.system import Clock
from recordings.services.rooms.meeting_owner import FindOwner

# The rate limit is available again within a minute. Cloudflare itself orders a longer pause to block a client.
MAX_PAUSE_SECONDS: Final = 61
ROOM_PAGE_SIZE: Final = 100


@dataclass(slots=True)
class ProviderListing:
    """Cloudflare's recordings by id, and those that are not in our table, by tenant.

    The listing goes back to `oldest`. `incomplete` says why it is not complete. What it contains holds nevertheless,
    and what it does not contain proves nothing.
    """

    oldest: datetime
    listed: dict[str, ProviderRecording] = field(default_factory=dict)
    unknown: dict[str, list[tuple[RecordingOwner, ProviderRecording]]] = field(default_factory=dict)
    unregistered: int = 0
    incomplete: str | None = None
    # The Cloudflare ids of the recordings of each meeting that was listed by itself.
    ids_by_meeting: dict[str, set[str]] = field(default_factory=dict)
    # True after a failed call: Cloudflare gets no further calls.
    failed: bool = False

    def fail(self, failure: Exception) -> None:
        """Store that Cloudflare gets no further calls."""
        self.incomplete, self.failed = describe(failure), True


def describe(failure: Exception) -> str:
    """Return the name and the text of an error."""
    return f"{type(failure).__name__}: {failure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Repeats a call to Cloudflare after the pause that the rate limit orders."""

    clock: Clock
    wait: Callable[[float], None]

    def __call__[T](self, call: Callable[[], T], *, until: datetime) -> T:
        """Return the result of the call. Raises what the call raises.

        Raises:
            ProviderThrottled: the pause is too long, or ends after `until`
        """
        while True:
            try:
                return call()
            except ProviderThrottled as failure:
                pause = failure.retry_after
                if pause > MAX_PAUSE_SECONDS or self.clock() + timedelta(seconds=pause) >= until:
                    raise
                self.wait(pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProviderRecordings:
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    backoff: Backoff
    clock: Clock

    def __call__(self, tenant_id: str | None, *, until: datetime) -> ProviderListing:
        """List the app's recordings, or at least those of one tenant's rooms, as far as the time allows.

        An error of Cloudflare is not raised: the listing is then incomplete.
        """
        listing = ProviderListing(self.clock() - FILE_RETENTION)
        try:
            for page in self._pages(tenant_id, listing.oldest, until):
                self._add(page, listing, until)
        except (ProviderThrottled, Throttled) as failure:
            # There was too much to list. Single recordings can still be requested.
            listing.incomplete = describe(failure)
        except ProviderFailure as failure:
            listing.fail(failure)
        return listing

    def _pages(self, tenant_id: str | None, oldest: datetime, until: datetime) -> Iterator[Sequence[ProviderRecording]]:
        number = 1
        while True:
            page, has_more = self.backoff(partial(self.provider.list_page, number), until=until)
            recent = [*started_since(page, oldest)]
            yield recent
            if not has_more or ends_before(page, oldest):
                return
            if number == 1 and tenant_id is not None and recent:
                rooms = list(self._rooms_of(tenant_id))
                if len(rooms) < self._estimated_pages(recent, oldest):
                    yield from self._pages_by_room(rooms, oldest, until)
                    return
            number += 1

    def _estimated_pages(self, first_page: Sequence[ProviderRecording], oldest: datetime) -> float:
        """Estimate the number of the app's pages from the time that the first one spans."""
        spanned = max(self.clock() - first_page[-1].invoked_at, timedelta(seconds=1))
        return (self.clock() - oldest) / spanned

    def _pages_by_room(
        self, rooms: Sequence[Room], oldest: datetime, until: datetime
    ) -> Iterator[Sequence[ProviderRecording]]:
        for room in rooms:
            listed = self._list_meeting(room.meeting_id, oldest, until)
            # A row does not always name its meeting. Here it is known.
            yield [replace(provider_recording, meeting_id=room.meeting_id) for provider_recording in listed]

    def _rooms_of(self, tenant_id: str) -> Iterator[Room]:
        cursor = None
        while True:
            page = self.rooms.list(tenant_id, limit=ROOM_PAGE_SIZE, cursor=cursor)
            yield from page.items
            if (cursor := page.cursor) is None:
                return

    def _list_meeting(self, meeting_id: str, oldest: datetime, until: datetime) -> list[ProviderRecording]:
        def list_once() -> list[ProviderRecording]:
            return list(started_since(self.provider.list_by_meeting(meeting_id), oldest))

        return self.backoff(list_once, until=until)

    def _add(self, page: Sequence[ProviderRecording], listing: ProviderListing, until: datetime) -> None:
        known = self.recordings.find_by_cloudflare_recording_ids([row.cloudflare_recording_id for row in page])
        for provider_recording in page:
            if provider_recording.cloudflare_recording_id in listing.listed:
                # Recordings that began meanwhile moved it to this page.
                continue
            listing.listed[provider_recording.cloudflare_recording_id] = provider_recording
            if provider_recording.cloudflare_recording_id in known:
                continue
            owner = self._owner_of(provider_recording, listing, until)
            if owner is None:
                listing.unregistered += 1
            else:
                listing.unknown.setdefault(owner.tenant_id, []).append((owner, provider_recording))

    def _owner_of(
        self, provider_recording: ProviderRecording, listing: ProviderListing, until: datetime
    ) -> RecordingOwner | None:
        meeting_id = provider_recording.meeting_id or provider_recording.likely_meeting_id
        if meeting_id is None:
            return None
        owner = FindOwner(rooms=self.rooms)(meeting_id, provider_recording)
        if owner is None or provider_recording.meeting_id is not None:
            return owner
        # Only the name of the file says which meeting it is. The meeting's own list must contain the recording.
        if owner.meeting_id not in listing.ids_by_meeting:
            listed = self._list_meeting(owner.meeting_id, listing.oldest, until)
            listing.ids_by_meeting[owner.meeting_id] = {one.cloudflare_recording_id for one in listed}
        known_ids = listing.ids_by_meeting[owner.meeting_id]
        return owner if provider_recording.cloudflare_recording_id in known_ids else None
