"""List what Cloudflare holds, as far back as it can hold a file."""

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

# The budget of calls is full again within a minute. A longer pause is a block that Cloudflare itself has ordered.
LONGEST_WAIT: Final = 61
ROOMS_AT_A_TIME: Final = 100


@dataclass(slots=True)
class Captures:
    """A listing of Cloudflare: every capture by its id, and those that no recording of ours belongs to, by tenant.

    It goes back to `oldest`. `incomplete` says why it is not whole: what was seen holds all the same, and what was not
    seen says nothing.
    """

    oldest: datetime
    listed: dict[str, ProviderRecording] = field(default_factory=dict)
    unknown: dict[str, list[tuple[RecordingOwner, ProviderRecording]]] = field(default_factory=dict)
    unregistered: int = 0
    incomplete: str | None = None
    # The captures of the meetings that were asked for by themselves.
    of_meeting: dict[str, set[str]] = field(default_factory=dict)
    # Whether Cloudflare has failed a call, so that it is asked no more.
    failed: bool = False

    def fail(self, failure: Exception) -> None:
        """Cloudflare cannot be asked any more."""
        self.incomplete, self.failed = said(failure), True


def said(failure: Exception) -> str:
    """What went wrong, by name and in words."""
    return f"{type(failure).__name__}: {failure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Asks Cloudflare again when the budget of calls is spent: until it is full there is nothing better to do."""

    clock: Clock
    wait: Callable[[float], None]

    def __call__[T](self, ask: Callable[[], T], *, until: datetime) -> T:
        """Give the answer. Raises ProviderThrottled when it cannot be had by then, and whatever else `ask` raises."""
        while True:
            try:
                return ask()
            except ProviderThrottled as failure:
                pause = failure.retry_after
                if pause > LONGEST_WAIT or self.clock() + timedelta(seconds=pause) >= until:
                    raise
                self.wait(pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProviderRecordings:
    rooms: Rooms
    recordings: Recordings
    provider: RecordingProvider
    patience: Patience
    clock: Clock

    def __call__(self, tenant_id: str | None, *, until: datetime) -> Captures:
        """List the app's captures, or with a tenant at least those of its rooms, as far as that can be done by then.

        Never raises what Cloudflare raises: the listing is incomplete then.
        """
        found = Captures(self.clock() - FILE_RETENTION)
        try:
            for provider_recordings in self._pages(tenant_id, found.oldest, until):
                self._sort(provider_recordings, found, until)
        except (ProviderThrottled, Throttled) as failure:
            # There was too much to list. What was seen can still be looked at, a call at a time.
            found.incomplete = said(failure)
        except ProviderFailure as failure:
            found.fail(failure)
        return found

    def _pages(self, tenant_id: str | None, oldest: datetime, until: datetime) -> Iterator[Sequence[ProviderRecording]]:
        number = 1
        while True:
            provider_recordings, more = self.patience(partial(self.provider.list_page, number), until=until)
            new = [*started_since(provider_recordings, oldest)]
            yield new
            if not more or ends_before(provider_recordings, oldest):
                return
            if number == 1 and tenant_id is not None and new:
                rooms = list(self._rooms_of(tenant_id))
                # As the first page goes, so will the others: which walk takes fewer calls?
                pages = (self.clock() - oldest) / max(self.clock() - new[-1].invoked_at, timedelta(seconds=1))
                if len(rooms) < pages:
                    for room in rooms:
                        # Whether a row names its meeting is not certain; this one's is known.
                        mine = self._of_meeting(room.meeting_id, oldest, until)
                        yield [replace(provider_recording, meeting_id=room.meeting_id) for provider_recording in mine]
                    return
            number += 1

    def _rooms_of(self, tenant_id: str) -> Iterator[Room]:
        cursor = None
        while True:
            page = self.rooms.list(tenant_id, limit=ROOMS_AT_A_TIME, cursor=cursor)
            yield from page.items
            if (cursor := page.cursor) is None:
                return

    def _of_meeting(self, meeting_id: str, oldest: datetime, until: datetime) -> list[ProviderRecording]:
        def ask() -> list[ProviderRecording]:
            return list(started_since(self.provider.list_by_meeting(meeting_id), oldest))

        return self.patience(ask, until=until)

    def _sort(self, provider_recordings: Sequence[ProviderRecording], found: Captures, until: datetime) -> None:
        known = self.recordings.find_by_cloudflare_recording_ids(
            [provider_recording.cloudflare_recording_id for provider_recording in provider_recordings]
        )
        for provider_recording in provider_recordings:
            if provider_recording.cloudflare_recording_id in found.listed:
                # Captures that began meanwhile pushed it on to this page.
                continue
            found.listed[provider_recording.cloudflare_recording_id] = provider_recording
            if provider_recording.cloudflare_recording_id in known:
                continue
            owner = self._owner_of(provider_recording, found, until)
            if owner is None:
                found.unregistered += 1
            else:
                found.unknown.setdefault(owner.tenant_id, []).append((owner, provider_recording))

    def _owner_of(
        self, provider_recording: ProviderRecording, found: Captures, until: datetime
    ) -> RecordingOwner | None:
        meeting_id = provider_recording.meeting_id or provider_recording.likely_meeting_id
        owner = FindOwner(rooms=self.rooms)(meeting_id, provider_recording) if meeting_id is not None else None
        if owner is None or provider_recording.meeting_id is not None:
            return owner
        # Only its file's name hints at the meeting: the meeting itself must list it.
        if owner.meeting_id not in found.of_meeting:
            mine = self._of_meeting(owner.meeting_id, found.oldest, until)
            found.of_meeting[owner.meeting_id] = {one.cloudflare_recording_id for one in mine}
        return owner if provider_recording.cloudflare_recording_id in found.of_meeting[owner.meeting_id] else None
