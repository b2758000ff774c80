"""A whole system on fakes, whose every call to a port can be made to fail."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from recordings.domain.capture import Capture
from recordings.domain.errors import CaptureFailed, NoActiveRecording, RecordingsError
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.domain.tally import day_of, difference
from recordings.services.process_recording import CheckUpload
from recordings.services.put_room import PutRoom
from recordings.services.receive_webhook import ReceiveWebhook
from recordings.services.start_recording import LEASE, StartRecording
from recordings.services.stop_recording import StopRecording
from recordings.services.transfer_file import Work
from tests.support.builders import a_room
from tests.support.fakes import (
    Cloudflare,
    CountingIds,
    Memory,
    MemoryFiles,
    MemoryRecordings,
    MemoryRooms,
    Runs,
    SetClock,
)

STALL_AFTER = timedelta(hours=6)


class Killed(BaseException):
    """The function died: nothing of ours may catch it."""


class Trap:
    """Lets calls through, and springs at the n-th: before it has an effect, or after."""

    def __init__(self, at: int, error: BaseException | None = None, *, after: bool = False, only: str = "") -> None:
        self.at, self.error, self.after, self.only = at, error, after, only
        self.calls: list[str] = []

    @property
    def sprung(self) -> bool:
        return len(self.calls) > self.at

    def call(self, name: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        if not name.startswith(self.only):
            return method(*given, **named)
        springs = len(self.calls) == self.at and self.error is not None
        self.calls.append(name)
        if springs and not self.after:
            raise self.error  # type: ignore[misc]
        if not springs:
            return method(*given, **named)
        try:
            method(*given, **named)
        except Exception:
            # Its answer is lost, whatever it was.
            pass
        raise self.error  # type: ignore[misc]


class Trapped:
    """A port whose calls go through a trap."""

    def __init__(self, name: str, port: object, trap: Trap) -> None:
        self._name, self._port, self._trap = name, port, trap

    def __getattr__(self, method: str) -> Any:
        inner = getattr(self._port, method)

        def call(*given: Any, **named: Any) -> Any:
            return self._trap.call(f"{self._name}.{method}", inner, *given, **named)

        return call


class World:
    """One room of one tenant, Cloudflare, and every function of ours that may act on them."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.memory = Memory(self.clock)
        self.rooms, self.recordings = MemoryRooms(self.memory), MemoryRecordings(self.memory)
        self.cloudflare, self.runs, self.files = Cloudflare(self.clock), Runs(), MemoryFiles()
        self.new_id = CountingIds()
        self._nonces = iter(range(10**6))
        self.trap = Trap(-1)
        self.rooms.add(a_room())

    def ports(self, *names: str) -> dict[str, Any]:
        everything: dict[str, Any] = {
            "rooms": self.rooms,
            "recordings": self.recordings,
            "recorder": self.cloudflare,
            "workflow": self.runs,
            "files": self.files,
        }
        told: dict[str, Any] = {
            name: Trapped(name, everything[name], self.trap) for name in names if name in everything
        }
        return told | {"clock": self.clock}

    def new_nonce(self) -> str:
        return f"nonce_{next(self._nonces)}"

    def start(self, *, max_seconds: int | None = None) -> Recording:
        service = StartRecording(
            **self.ports("rooms", "recordings", "recorder"), new_id=self.new_id, new_nonce=self.new_nonce
        )
        return service(tenant_id="tenant_1", room_id="room_1", max_duration_seconds=max_seconds)

    def stop(self) -> Recording:
        service = StopRecording(**self.ports("rooms", "recordings", "recorder", "workflow"), new_id=self.new_id)
        return service(tenant_id="tenant_1", room_id="room_1")

    def webhook(self, capture_id: str | None = None, meeting_id: str | None = "meeting_1") -> bool:
        """Cloudflare tells of one capture; by default of the last one."""
        if capture_id is None:
            capture_id = next(reversed(self.cloudflare.captured), "capture_of_nobody")
        service = ReceiveWebhook(**self.ports("rooms", "recordings", "recorder", "workflow"), new_id=self.new_id)
        return service(capture_id=capture_id, meeting_id=meeting_id)

    def check(self, recording: Recording | None = None, token: str = "token") -> dict[str, object] | None:
        """The run of a recording looks; by default of the last one that was started."""
        if recording is None:
            if not self.runs.started:
                return None
            recording = list(self.runs.started.values())[-1]
        service = CheckUpload(**self.ports("recordings", "recorder", "files"), stall_after=STALL_AFTER)
        work = Work(tenant_id=recording.tenant_id, recording_id=recording.id, attempt=recording.attempt)
        return service(work, token=token, wait=timedelta(seconds=5))

    def put_room(self, **changes: Any) -> tuple[Room, bool]:
        service = PutRoom(**self.ports("rooms", "recorder"), new_nonce=self.new_nonce)
        told = {"tenant_id": "tenant_1", "room_id": "room_1", "name": "Name", "meeting_id": None}
        return service(**told | {"record_on_start": None} | changes)

    def room(self) -> Room:
        return self.rooms.get("tenant_1", "room_1")

    def all(self) -> list[Recording]:
        return list(self.memory.recordings.values())

    def of(self, capture: Capture) -> Recording:
        (found,) = [one for one in self.all() if one.cloudflare_id == capture.id]
        return found

    def let_go(self) -> None:
        """No trap any more, and whoever died holds nothing any longer."""
        self.trap = Trap(-1)
        self.clock.advance(seconds=LEASE.total_seconds() + 1)

    def settle(self) -> None:
        """What the world does in the end whatever went wrong: somebody stops, Cloudflare tells, the runs look."""
        self.let_go()
        for _ in range(3):
            try:
                self.stop()
            except NoActiveRecording:
                break
        for capture_id in list(self.cloudflare.captured):
            self.webhook(capture_id)
        for recording in self.runs.started.values():
            try:
                self.check(recording)
            except CaptureFailed:
                pass

    def assert_settled(self) -> None:
        """Nothing is running, held or lost, and everything is counted."""
        self.assert_sound()
        assert self.cloudflare.running() == []
        room, now = self.room(), self.clock()
        assert room.active_recording_id is None
        assert room.lease_until is None or room.lease_until <= now
        for capture_id in self.cloudflare.captured:
            recording = self.of(self.cloudflare.get(capture_id))
            assert recording.status is not Status.RECORDING
            assert (recording.id, recording.attempt) in self.runs.started
        assert len(self.all()) == len(self.cloudflare.captured)

    def assert_sound(self) -> None:
        """What holds at every moment."""
        assert len(self.cloudflare.running()) <= 1
        per_capture = Counter(one.cloudflare_id for one in self.all())
        assert all(number == 1 for number in per_capture.values())
        tallies: dict[Any, Counter[str]] = {}
        for one in self.all():
            for room_id in (None, one.room_id):
                key = one.tenant_id, room_id, day_of(one.created_at)
                tallies.setdefault(key, Counter()).update(difference(None, one))
            assert [change.status for change in one.history][-1] is one.status
            for before, after in pairwise(one.history):
                assert after.status in TRANSITIONS[before.status].values(), one.history
                assert before.at <= after.at
            assert one.version >= len(one.history)
        assert {key: +tally for key, tally in self.memory.tallies.items()} == tallies


def attempt(act: Callable[[], object]) -> object:
    """What came of it, an error that is told to a caller included."""
    try:
        return act()
    except (RecordingsError, CaptureFailed) as error:
        return error
