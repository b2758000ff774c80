"""Random histories of Cloudflare, callers and failures: in the end our records match Cloudflare."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.domain.errors import (
    ConcurrentUpdate,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderTimeout,
)
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.provider_recording import ProviderRecording, ProviderStatus
from recordings.domain.recording import Recording
from tests.support.builders import a_room
from tests.support.fakes import MemoryRecordings
from tests.unit.services.world import Killed, Trap, World, attempt

# Thousands of repetitions of code that other tests cover: measuring them would only take time.
pytestmark = pytest.mark.no_cover

ROOMS = {"room_1": "meeting_1", "room_2": "meeting_2"}


class Watched(MemoryRecordings):
    """Checks that each change adds one version and follows the lifecycle."""

    def save(self, before: Recording, after: Recording) -> Recording:
        after = super().save(before, after)
        if after is before:
            return after
        assert after.version == before.version + 1
        assert after.history[: len(before.history)] == before.history
        assert after.status is before.status or after.status in TRANSITIONS[before.status].values()
        assert after.changed_by is not None
        assert all(change.actor is not None for change in after.history)
        return after


@dataclass(frozen=True)
class Fault:
    """A failure at the n-th call to a port, or to Cloudflare if Cloudflare fails."""

    kind: str
    n: int
    after: bool

    @property
    def trap(self) -> Trap:
        if self.kind == "dies":
            return Trap(self.n, Killed(), after=self.after)
        if self.kind == "overtaken":
            return Trap(self.n, ConcurrentUpdate(), only="recordings.save")
        return Trap(self.n, FAILURES[self.kind](), after=self.after, only="provider")


FAILURES: dict[str, Any] = {
    "broken": ProviderError,
    "refused": ProviderRefused,
    "throttled": ProviderThrottled,
    "slow": ProviderTimeout,
}
ROOM, NUMBER = st.sampled_from(["room_1", "room_1", "room_2"]), st.sampled_from([0, 0, 0, 1, 1, 2, 3])
FAULTS = st.one_of(
    st.none(),
    st.builds(Fault, st.sampled_from(["dies", *FAILURES]), st.integers(0, 9), st.booleans()),
    st.builds(Fault, st.just("overtaken"), st.integers(0, 1), st.just(False)),
)
STEPS = st.one_of(
    # What Cloudflare does to the n-th newest recording.
    st.tuples(st.just("begins by itself"), ROOM),
    st.tuples(st.sampled_from(["goes", "ends", "uploads"]), NUMBER),
    st.tuples(st.sampled_from(["goes", "ends", "uploads", "is lost", "is lost in part"]), NUMBER),
    # Webhooks: late, repeated, in any order, or never.
    st.tuples(st.just("webhook"), NUMBER, FAULTS),
    # Calls of users.
    st.tuples(st.sampled_from(["start", "stop", "sync room"]), ROOM, FAULTS),
    st.tuples(st.just("start"), ROOM, FAULTS),
    st.tuples(st.just("archive"), NUMBER, FAULTS),
    st.tuples(st.just("a whole recording"), ROOM),
    st.tuples(st.just("a whole archived recording"), ROOM),
    st.tuples(st.sampled_from(["recover", "archive", "delete", "undelete"]), NUMBER, FAULTS),
    # Executions and syncs, also executions that die or cannot be stopped.
    st.tuples(st.sampled_from(["run", "move"]), NUMBER, FAULTS),
    st.tuples(
        st.sampled_from(["run dies", "move dies", "run gives up", "move gives up", "run of old goes on"]), NUMBER
    ),
    st.tuples(st.just("sync"), FAULTS),
    st.tuples(st.just("time passes"), st.sampled_from([1, 11, 61, 301, 901, 7201])),
)
HISTORIES = st.integers(0, 25).flatmap(lambda least: st.lists(STEPS, min_size=least, max_size=least + 15))
ENDS = st.lists(st.sampled_from(["uploads", "is lost", "is lost in part", "never goes"]), min_size=1, max_size=4)


class Model(World):
    """Two rooms, and a method for each step."""

    def __init__(self, *, delivers: bool) -> None:
        super().__init__(delivers=delivers)
        self.recordings = Watched(self.memory)
        self.rooms.add(a_room(id="room_2", meeting_id="meeting_2"))

    def provider_recording(self, n: int) -> ProviderRecording | None:
        provider_recordings = list(self.cloudflare.captured.values())[::-1]
        return provider_recordings[n % len(provider_recordings)] if provider_recordings else None

    def recording(self, n: int) -> Recording | None:
        recordings = self.all()[::-1]
        return recordings[n % len(recordings)] if recordings else None

    def run_of(self, runs: dict[tuple[str, int], Recording], n: int) -> Recording | None:
        started = list(runs.values())[::-1]
        return started[n % len(started)] if started else None

    def do(self, step: tuple[Any, ...]) -> None:
        fault = step[-1] if isinstance(step[-1], Fault) else None
        self.trap = fault.trap if fault else Trap(-1)
        try:
            attempt(lambda: self._do(step))
        except Killed:
            pass
        self.trap = Trap(-1)

    def _do(self, step: tuple[Any, ...]) -> None:  # noqa: C901 - one case for each kind of step
        match step:
            case "begins by itself", room:
                self.cloudflare.begin_by_itself(ROOMS[room])
            case ("goes" | "ends" | "uploads" | "is lost" | "is lost in part") as what, n:
                provider_recording = self.provider_recording(n)
                if provider_recording is not None:
                    self.happens(what, provider_recording)
            case "webhook", n, _:
                provider_recording = self.provider_recording(n)
                if provider_recording is not None:
                    self.webhook(provider_recording.cloudflare_recording_id, provider_recording.meeting_id)
            case "start", room, _:
                self.start(room_id=room)
            case "stop", room, _:
                self.stop(room_id=room)
            case "sync room", room, _:
                self.sync_recordings(room)
            case ("a whole recording" | "a whole archived recording") as what, room:
                recording = self.start(room_id=room)
                self.clock.advance(seconds=30)
                self.stop(room_id=room)
                self.cloudflare.upload(recording.cloudflare_recording_id or "")
                self.process(recording)
                if what == "a whole archived recording":
                    self.move(self.archive(recording))
            case "sync", _:
                self.sync()
            case "time passes", seconds:
                self.clock.advance(seconds=seconds)
            case "run" | "run dies" | "run gives up" | "run of old goes on" as what, n, *_:
                run = self.run_of(self.executions.started, n)
                if run is not None and what == "run dies":
                    self.executions.end(run)
                elif run is not None and what == "run gives up":
                    self.give_up(run)
                elif run is not None:
                    self.process(run, zombie=what == "run of old goes on")
            case "move" | "move dies" | "move gives up" as what, n, *_:
                run = self.run_of(self.moves.started, n)
                if run is not None and what == "move dies":
                    self.moves.end(run)
                elif run is not None and what == "move gives up":
                    self.abandon(run)
                elif run is not None:
                    self.move(run)
            case what, n, _:
                found = self.recording(n)
                if found is not None:
                    act = {"recover": self.recover, "archive": self.archive}.get(what)
                    (act or {"delete": self.delete, "undelete": self.undelete}[what])(found)

    def happens(self, what: str, provider_recording: ProviderRecording) -> None:
        """Change a recording at Cloudflare: it runs, ends, and then has a file or not."""
        match what, provider_recording.status:
            case "goes", ProviderStatus.INVOKED:
                self.cloudflare.go(provider_recording.cloudflare_recording_id)
            case "ends", ProviderStatus.INVOKED | ProviderStatus.RECORDING:
                self.cloudflare.end(provider_recording.cloudflare_recording_id)
            case "uploads", ProviderStatus.UPLOADING:
                self.cloudflare.upload(provider_recording.cloudflare_recording_id)
            case "is lost", status if status not in {ProviderStatus.UPLOADED, ProviderStatus.ERRORED}:
                self.cloudflare.lose(provider_recording.cloudflare_recording_id)
            case "is lost in part", ProviderStatus.RECORDING | ProviderStatus.UPLOADING:
                self.cloudflare.lose(provider_recording.cloudflare_recording_id, url="https://files/part")

    def everything_goes_on(self) -> None:
        """Let an hour pass without webhooks: the scheduled syncs and the executions work."""
        for _ in range(4):
            self.clock.advance(minutes=15)
            self.sync()
            for recording in list(self.executions.started.values()):
                self.process(recording)
            for recording in list(self.moves.started.values()):
                self.move(recording)

    def end(self, ends: list[str]) -> None:
        """End everything that runs at Cloudflare, and let time pass."""
        self.clock.advance(minutes=5)
        for n, provider_recording in enumerate(self.cloudflare.running()):
            # One that was invoked and never goes is for us to stop.
            if ends[n % len(ends)] != "never goes" or provider_recording.status is not ProviderStatus.INVOKED:
                self.cloudflare.end(provider_recording.cloudflare_recording_id)
        self.everything_goes_on()
        for n, provider_recording in enumerate(list(self.cloudflare.captured.values())):
            if provider_recording.status is ProviderStatus.UPLOADING:
                what = ends[n % len(ends)]
                self.happens("uploads" if what == "never goes" else what, provider_recording)
        for _ in range(3):
            self.everything_goes_on()
        # A day later a full sync lists everything.
        self.clock.advance(days=1)
        self.everything_goes_on()

    def assert_true(self) -> None:
        """Check that our records match Cloudflare."""
        self.assert_sound()
        now = self.clock()
        assert self.cloudflare.running() == []
        for room in self.memory.rooms.values():
            assert room.active_recording_id is None
            assert room.lease_until is None or room.lease_until <= now
        assert self.lease.until is None or self.lease.until <= now
        assert {one.cloudflare_recording_id for one in self.all()} == set(self.cloudflare.captured)
        assert len(self.all()) == len(self.cloudflare.captured)
        for recording in self.all():
            self.assert_follows(recording, self.cloudflare.get(recording.cloudflare_recording_id or ""))

    def assert_follows(self, recording: Recording, provider_recording: ProviderRecording) -> None:
        assert not recording.unfinished, recording
        assert recording.meeting_id == provider_recording.meeting_id
        assert recording.created_at >= provider_recording.invoked_at
        assert recording.created_at <= (provider_recording.stopped_at or provider_recording.invoked_at)
        assert (recording.origin == "auto") == provider_recording.auto_started
        if provider_recording.download_url is None:
            assert (recording.status, recording.file) == (Status.FAILED, None)
            assert recording.failure is not None
            return
        assert recording.status in {Status.READY, Status.ARCHIVED}, (recording, provider_recording)
        assert recording.partial == (provider_recording.status is ProviderStatus.ERRORED)
        assert recording.duration_seconds == provider_recording.duration_seconds
        assert recording.failure is None
        assert recording.file is not None
        stores = {"r2": self.r2, "s3": self.s3}
        here = stores.pop(recording.file.store)
        assert here.head(recording.file.key) is not None
        assert (recording.file.store == "s3") == (recording.status is Status.ARCHIVED)
        # There is one copy: a moved file is deleted in R2, and an abandoned move leaves nothing.
        (there,) = stores.values()
        assert not any(recording.id in key for key in there.objects), (recording, list(there.objects))


# `make explore` runs more of them.
@settings(
    max_examples=2000 if settings.get_current_profile_name() == "explore" else 200,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(HISTORIES, ENDS, st.booleans())
def test_after_any_history_the_records_match_cloudflare(
    history: list[tuple[Any, ...]], ends: list[str], delivers: bool
) -> None:
    model = Model(delivers=delivers)
    for step in history:
        model.do(step)
        model.assert_sound()
    model.end(ends)
    model.assert_true()
