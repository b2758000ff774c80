"""Random histories of three tenants that create, change, delete and adopt rooms and meetings while Cloudflare records.

Whatever happens, nobody is shown what was recorded while a meeting was not theirs, and nothing that was recorded in a
meeting of somebody's is lost. What is true is kept beside the product, from the answers alone: a meeting is its first
tenant's, from then on and for ever.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recordings.domain.errors import (
    ProviderError,
    ProviderTimeout,
    RecordingsError,
    RoomAlreadyRecording,
    RoomIsRecording,
)
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.recording import Recording
from tests.unit.services.world import Killed, Trap, World

# Thousands of repetitions of code that other tests cover: measuring them would only take time.
pytestmark = pytest.mark.no_cover

TENANTS, ROOMS = ["tenant_1", "tenant_2", "tenant_3"], ["room_1", "room_2"]
# Meetings from elsewhere. The system creates others.
ELSEWHERE = ["elsewhere_1", "elsewhere_2"]

TENANT, ROOM, NUMBER = st.sampled_from(TENANTS), st.sampled_from(ROOMS), st.integers(0, 4)
FAULTS = st.one_of(
    st.none(),
    st.none(),
    st.builds(lambda n, after: Trap(n, Killed(), after=after), st.integers(0, 14), st.booleans()),
    st.builds(
        lambda n, after, kind: Trap(n, kind(), after=after, only="provider"),
        st.integers(0, 5),
        st.booleans(),
        st.sampled_from([ProviderError, ProviderTimeout]),
    ),
)
STEPS = st.one_of(
    st.tuples(st.just("make"), TENANT, ROOM, FAULTS),
    st.tuples(st.just("name"), TENANT, ROOM, NUMBER, st.sampled_from([None, True, False]), FAULTS),
    st.tuples(st.just("name"), TENANT, ROOM, NUMBER, st.sampled_from([None, True, False]), FAULTS),
    st.tuples(st.sampled_from(["delete", "start", "stop", "sync room"]), TENANT, ROOM, FAULTS),
    st.tuples(st.just("delete"), TENANT, ROOM, FAULTS),
    st.tuples(st.just("begins by itself"), NUMBER),
    st.tuples(st.just("begins by itself"), NUMBER),
    st.tuples(st.sampled_from(["ends", "uploads", "is hidden", "is shown", "webhook"]), NUMBER),
    st.tuples(st.just("sync"), FAULTS),
    st.tuples(st.just("time passes"), st.sampled_from([1, 61, 901, 7201])),
)


class Tenants(World):
    """The system, the recordings that the listing omits, and the owners that the responses show."""

    def __init__(self) -> None:
        super().__init__()
        self.delete_room()
        self.memory.meetings.clear()
        self.memory.retry_queue.clear()
        self.cloudflare.recording_on_start.clear()
        self.hidden: set[str] = set()
        # The first tenant that held each meeting, and since when (None: since its creation).
        self.owner: dict[str, tuple[str, datetime | None]] = {}
        listed, recent, active = self.cloudflare.list_by_meeting, self.cloudflare.list_page, self.cloudflare.find_active

        def shown(provider_recordings: Iterable[ProviderRecording]) -> list[ProviderRecording]:
            return [one for one in provider_recordings if one.cloudflare_recording_id not in self.hidden]

        def shown_active(meeting_id: str) -> ProviderRecording | None:
            found = active(meeting_id)
            return None if found is None or found.cloudflare_recording_id in self.hidden else found

        def shown_recent(number: int) -> tuple[list[ProviderRecording], bool]:
            rows, more = recent(number)
            return shown(rows), more

        self.cloudflare.list_by_meeting = lambda meeting_id: iter(shown(listed(meeting_id)))  # type: ignore[method-assign]
        self.cloudflare.list_page = shown_recent  # type: ignore[method-assign]
        self.cloudflare.find_active = shown_active  # type: ignore[method-assign]

    # ------------------------------------------------------------ steps

    def meeting(self, n: int) -> str:
        every = [*ELSEWHERE, *self.cloudflare.meetings]
        return every[n % len(every)]

    def provider_recording(self, n: int) -> ProviderRecording | None:
        every = list(self.cloudflare.captured.values())[::-1]
        return every[n % len(every)] if every else None

    def do(self, step: tuple[Any, ...]) -> None:  # noqa: C901 - one case for each kind of step
        self.clock.advance(seconds=1)
        trap = step[-1] if isinstance(step[-1], Trap) else None
        self.trap = Trap(trap.at, trap.error, after=trap.after, only=trap.only) if trap is not None else Trap(-1)
        match step:
            case "make", tenant, room, _:
                self.ask(tenant, lambda: self.put_room(tenant_id=tenant, room_id=room))
            case "name", tenant, room, n, auto, _:
                meeting = self.meeting(n)
                self.ask(
                    tenant,
                    lambda: self.put_room(tenant_id=tenant, room_id=room, meeting_id=meeting, record_on_start=auto),
                )
            case "delete", tenant, room, _:
                self.ask(tenant, lambda: self.delete_room(tenant_id=tenant, room_id=room))
            case "start", tenant, room, _:
                self.ask(tenant, lambda: self.start(tenant_id=tenant, room_id=room))
            case "stop", tenant, room, _:
                self.ask(tenant, lambda: self.stop(tenant_id=tenant, room_id=room))
            case "sync room", tenant, room, _:
                self.ask(tenant, lambda: self.sync_recordings(room, tenant))
            case "sync", _:
                self.ask(None, self.sync)
            case "begins by itself", n:
                meeting = self.meeting(n)
                if not any(one.meeting_id == meeting for one in self.cloudflare.running()):
                    self.cloudflare.begin_by_itself(meeting)
            case "time passes", seconds:
                self.clock.advance(seconds=seconds)
            case what, n:
                provider_recording = self.provider_recording(n)
                if provider_recording is not None:
                    self.happens(what, provider_recording)
        self.trap = Trap(-1)
        self.note_owners(named=step[0] == "name")

    def happens(self, what: str, provider_recording: ProviderRecording) -> None:
        match what:
            case "ends" if provider_recording.status.running:
                self.cloudflare.end(provider_recording.cloudflare_recording_id)
            case "uploads" if not provider_recording.status.running:
                self.cloudflare.upload(provider_recording.cloudflare_recording_id)
            case "is hidden":
                self.hidden.add(provider_recording.cloudflare_recording_id)
            case "is shown":
                self.hidden.discard(provider_recording.cloudflare_recording_id)
            case "webhook":
                self.ask(
                    None,
                    lambda: self.webhook(provider_recording.cloudflare_recording_id, provider_recording.meeting_id),
                )

    def ask(self, tenant: str | None, call: Callable[[], Any]) -> None:
        """Make a call. Each recording in its response must belong to the caller."""
        shown: list[Recording] = []
        try:
            response = call()
            shown = [response] if isinstance(response, Recording) else response if isinstance(response, list) else []
        except Killed:
            pass
        except (RoomAlreadyRecording, RoomIsRecording) as error:
            shown = [error.blocker] if error.blocker is not None else []
        except RecordingsError:
            pass
        for recording in shown:
            assert tenant is not None
            assert recording.tenant_id == tenant

    # ------------------------------------------------------------ checks

    def note_owners(self, *, named: bool) -> None:
        for room in self.memory.rooms.values():
            since = room.updated_at if named else None
            self.owner.setdefault(room.meeting_id, (room.tenant_id, since))
            # A meeting that a room holds is that of the first tenant.
            assert self.owner[room.meeting_id][0] == room.tenant_id
        held = [room.meeting_id for room in self.memory.rooms.values()]
        assert len(held) == len(set(held))

    def is_owned(self, provider_recording: ProviderRecording) -> bool:
        _, since = self.owner.get(
            provider_recording.meeting_id or "", ("", datetime.max.replace(tzinfo=self.clock().tzinfo))
        )
        return since is None or provider_recording.invoked_at >= since

    def assert_nobody_sees_anothers(self) -> None:
        for recording in self.all():
            provider_recording = self.cloudflare.captured[recording.cloudflare_recording_id or ""]
            assert self.is_owned(provider_recording), (recording, self.owner)
            assert recording.tenant_id == self.owner[provider_recording.meeting_id or ""][0]
            assert recording.meeting_id == provider_recording.meeting_id

    def end(self) -> None:
        """End all recordings, list all, and run the scheduled syncs of two days, without webhooks."""
        self.let_go()
        self.hidden.clear()
        for provider_recording in self.cloudflare.running():
            self.cloudflare.end(provider_recording.cloudflare_recording_id)
        for provider_recording in list(self.cloudflare.captured.values()):
            if provider_recording.status is ProviderStatus.UPLOADING:
                self.cloudflare.upload(provider_recording.cloudflare_recording_id)
        for _ in range(3):
            self.clock.advance(minutes=15)
            self.sync()
        self.clock.advance(days=1)
        self.sync()

    def assert_nothing_is_lost(self) -> None:
        owned = {one.cloudflare_recording_id for one in self.cloudflare.captured.values() if self.is_owned(one)}
        assert {one.cloudflare_recording_id for one in self.all()} == owned
        assert len(self.all()) == len(owned)
        for room in self.memory.rooms.values():
            assert room.active_recording_id is None
            if room.record_on_start:
                assert self.cloudflare.recording_on_start.get(room.meeting_id, False) is True
        held = {room.meeting_id for room in self.memory.rooms.values()}
        for meeting in self.owner.keys() - held:
            assert self.cloudflare.recording_on_start.get(meeting, False) is False


# `make explore` runs more of them.
@settings(
    max_examples=1000 if settings.get_current_profile_name() == "explore" else 150,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(STEPS, min_size=5, max_size=30))
@example(
    [
        ("make", "tenant_1", "room_1", None),
        ("begins by itself", 2),
        ("is hidden", 0),
        ("delete", "tenant_1", "room_1", None),
        ("name", "tenant_2", "room_1", 2, True, None),
        ("is shown", 0),
        ("sync room", "tenant_2", "room_1", None),
    ]
)
def test_no_tenant_sees_anothers_recordings_and_none_is_lost(history: list[tuple[Any, ...]]) -> None:
    tenants = Tenants()
    for step in history:
        tenants.do(step)
        tenants.assert_nobody_sees_anothers()
        tenants.assert_sound()
    tenants.end()
    tenants.assert_nobody_sees_anothers()
    tenants.assert_sound()
    tenants.assert_nothing_is_lost()
