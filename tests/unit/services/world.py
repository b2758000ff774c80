"""A whole system on fakes, whose every call to a port can be made to fail."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from recordings.domain.admission import AttemptLimits
from recordings.domain.errors import (
    AttemptReplaced,
    ChecksumMismatch,
    ConcurrentUpdate,
    NoActiveRecording,
    ProviderError,
    ProviderRecordingFailed,
    ProviderThrottled,
    ProviderTimeout,
    RecordingsError,
    SourceChanged,
    SourceExpired,
    SourceUnavailable,
    Throttled,
    TracksOnly,
    TransferError,
)
from recordings.domain.lifecycle import TRANSITIONS, Status
from recordings.domain.media import Container, MediaFacts
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.reconciliation import EXPIRED, LOST, TRACKS, Action, Deadlines
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from recordings.domain.sync import BatchResult, SyncItem, SyncWindow
from recordings.domain.tally import day_of, difference
from recordings.domain.transfer import MULTIPART_THRESHOLD_BYTES, Attempt, TransferPlan, TransferResult, UploadState
from recordings.ports.storage import ReadMediaFacts, SourceReader
from recordings.services.recordings.archive_recording import ArchiveRecording
from recordings.services.recordings.delete_recording import DeleteRecording, UndeleteRecording
from recordings.services.recordings.download_recording import Archived, DownloadRecording, NotYet, Ready
from recordings.services.recordings.recover_recording import RecoverRecording
from recordings.services.recordings.restore_recording import RestoreRecording, TrackRestore
from recordings.services.recordings.start_recording import LEASE_DURATION, StartRecording
from recordings.services.recordings.stop_recording import StopRecording
from recordings.services.rooms.delete_room import DeleteRoom
from recordings.services.rooms.put_room import PutRoom
from recordings.services.rooms.release_meeting import ReleaseMeeting
from recordings.services.sync.begin_sync import BeginSync
from recordings.services.sync.end_sync import EndSync
from recordings.services.sync.import_recording import ImportRecording
from recordings.services.sync.receive_webhook import ReceiveWebhook
from recordings.services.sync.reconcile_batch import ReconcileBatch
from recordings.services.sync.reconcile_recording import ReconcileRecording
from recordings.services.sync.resume_archive import ResumeArchive
from recordings.services.sync.scan_provider_recordings import Scan, ScanProviderRecordings
from recordings.services.sync.sync_recordings import SyncRecordings
from recordings.services.transfer.archive import AbandonArchive, BeginArchive, FinishArchive
from recordings.services.transfer.check import CheckArchive, CheckSegment
from recordings.services.transfer.check_upload import CheckUpload
from recordings.services.transfer.complete import CompleteArchive, CompleteTransfer
from recordings.services.transfer.copy import PROGRESS_INTERVAL_BYTES, CopySegment, CopyToArchive
from recordings.services.transfer.late_delivery import RemoveLateDelivery
from recordings.services.transfer.mark import MarkFailed, MarkReady, MarkStalled
from recordings.services.transfer.plan import AbortTransfer, PlanArchive, PlanTransfer
from recordings.services.transfer.verify import VerifyTransfer
from tests.support.builders import a_room
from tests.support.fakes import (
    Cloudflare,
    CountingIds,
    Memory,
    MemoryAccessLog,
    MemoryArchiveStore,
    MemoryArchivingExecutions,
    MemoryDownloadLinks,
    MemoryObjectStore,
    MemoryPartChecksums,
    MemoryProcessingExecutions,
    MemoryReader,
    MemoryRecordings,
    MemoryRetryQueue,
    MemoryRooms,
    MemorySyncLease,
    SetClock,
    StoredReader,
)

CONTENT = b"a film of a meeting" * 10
STALL_AFTER = timedelta(hours=6)
LIMITS = AttemptLimits()
FILM = MediaFacts(container=Container.MP4, has_video=True, has_audio=True)
NO_FILM = MediaFacts(container=Container.UNKNOWN)


def facts_by_content(read: Callable[[int, int], bytes], size: int) -> MediaFacts:
    """The files of these tests are media unless they look like a page or a document, or are empty."""
    return FILM if size and read(0, 0) not in (b"<", b"{") else NO_FILM


class Killed(BaseException):
    """The function died: nothing of ours may catch it."""


# What `Retry` of the state machines matches besides a function that died.
PASSING = (ConcurrentUpdate, ProviderError, ProviderThrottled, ProviderTimeout, SourceUnavailable, Throttled)


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
        if not callable(inner):
            return inner

        def call(*given: Any, **named: Any) -> Any:
            return self._trap.call(f"{self._name}.{method}", inner, *given, **named)

        return call


class World:
    """One room of one tenant, Cloudflare, and every function of ours that may act on them."""

    def __init__(self, *, delivers: bool = False) -> None:
        self.clock = SetClock()
        self.memory = Memory(self.clock)
        self.rooms, self.recordings = MemoryRooms(self.memory), MemoryRecordings(self.memory)
        self.cloudflare, self.executions, self.r2 = (
            Cloudflare(self.clock),
            MemoryProcessingExecutions(),
            MemoryObjectStore(),
        )
        self.moves, self.s3, self.lease = MemoryArchivingExecutions(), MemoryArchiveStore(), MemorySyncLease()
        self.part_checksums, self.retry_queue = MemoryPartChecksums(), MemoryRetryQueue(self.memory)
        self.links = MemoryDownloadLinks(self.memory)
        self.access_log = MemoryAccessLog(self.memory)
        self.actions: list[Action] = []
        self.limits = LIMITS
        # What Cloudflare's files hold; a run makes one reader.
        self.make_reader: Callable[[], SourceReader] = lambda: MemoryReader(CONTENT)
        self.read_media_facts: ReadMediaFacts = facts_by_content
        # The last plan of each attempt.
        self.plans: dict[tuple[str, int], TransferPlan] = {}
        self.multipart_threshold_bytes = MULTIPART_THRESHOLD_BYTES
        self.progress_interval_bytes = PROGRESS_INTERVAL_BYTES
        self.batch_result = BatchResult()
        if delivers:
            self.cloudflare.bucket, self.cloudflare.content = self.r2, CONTENT
        self.new_id = CountingIds()
        self._nonces = iter(range(10**6))
        self.trap = Trap(-1)
        # Whether a task whose function died is repeated; without, a run dies with it.
        self.repeats = True
        self.rooms.add(a_room())

    def ports(self, *names: str) -> dict[str, Any]:
        everything: dict[str, Any] = {
            "rooms": self.rooms,
            "recordings": self.recordings,
            "provider": self.cloudflare,
            "executions": self.executions,
            "store": self.r2,
            "archiving": self.moves,
            "lease": self.lease,
            "archive": self.s3,
            "part_checksums": self.part_checksums,
            "retry_queue": self.retry_queue,
            "links": self.links,
            "access_log": self.access_log,
        }
        reported: dict[str, Any] = {name: Trapped(name, everything[name], self.trap) for name in names}
        return reported | {"clock": self.clock}

    def again[T](self, task: Callable[[], T]) -> T:
        """Do it as a state machine does: what `Retry` matches is repeated."""
        try:
            return task()
        except (Killed, *PASSING):
            if not self.repeats:
                raise
            return task()

    def new_nonce(self) -> str:
        return f"nonce_{next(self._nonces)}"

    def start(
        self, *, max_seconds: int | None = None, room_id: str = "room_1", tenant_id: str = "tenant_1"
    ) -> Recording:
        service = StartRecording(
            **self.ports("rooms", "recordings", "provider"), new_id=self.new_id, new_nonce=self.new_nonce
        )
        return service(tenant_id=tenant_id, room_id=room_id, max_duration_seconds=max_seconds)

    def stop(self, *, room_id: str = "room_1", tenant_id: str = "tenant_1") -> Recording:
        service = StopRecording(**self.ports("rooms", "recordings", "provider", "executions"), new_id=self.new_id)
        return service(tenant_id=tenant_id, room_id=room_id)

    def webhook(self, cloudflare_recording_id: str | None = None, meeting_id: str | None = "meeting_1") -> bool:
        """Cloudflare tells of one capture; by default of the last one."""
        if cloudflare_recording_id is None:
            cloudflare_recording_id = next(reversed(self.cloudflare.captured), "capture_of_nobody")
        ports = self.ports("rooms", "recordings", "provider")
        del ports["clock"]
        service = ReceiveWebhook(**ports, tasks=self.executions, reconcile=self.reconcile())
        return service(cloudflare_recording_id=cloudflare_recording_id, meeting_id=meeting_id)

    def check(self, recording: Recording | None = None, token: str = "token") -> UploadState | None:
        """The run of a recording looks; by default of the last one that was started."""
        if recording is None:
            if not self.executions.started:
                return None
            recording = list(self.executions.started.values())[-1]
        service = CheckUpload(**self.ports("recordings", "provider", "store"), stall_after=STALL_AFTER)
        return service(_attempt(recording, recording.attempt), token=token, wait=timedelta(seconds=5))

    def reconcile(self) -> ReconcileRecording:
        ports = self.ports("recordings", "provider", "executions", "store")
        deadlines = Deadlines(attempts=self.limits)
        return ReconcileRecording(**ports, new_id=self.new_id, on_action=self.actions.append, deadlines=deadlines)

    def sync_recordings(self, room_id: str = "room_1", tenant_id: str = "tenant_1") -> Sequence[Recording]:
        service = SyncRecordings(**self.ports("rooms", "recordings", "provider"), reconcile=self.reconcile())
        return service(tenant_id=tenant_id, room_id=room_id)

    def scan(self, window: SyncWindow | None = None, page: int = 1, *, nonce: str = "nonce") -> Scan:
        service = ScanProviderRecordings(**self.ports("lease", "rooms", "recordings", "provider", "retry_queue"))
        return service(window or SyncWindow(None, True), page, nonce=nonce)

    def reconcile_batch(self, items: Sequence[SyncItem], *, nonce: str = "nonce") -> int:
        """Return how many recordings changed. `batch_result` has the other counts."""
        ports = self.ports("lease", "rooms", "recordings", "provider", "executions", "retry_queue")
        resume = ResumeArchive(**self.ports("recordings", "archiving", "store", "archive", "links"))
        known = self.ports("store", "archive")
        late = RemoveLateDelivery(store=known["store"], archive=known["archive"])
        service = ReconcileBatch(**ports, resume_archive=resume, remove_late_delivery=late, reconcile=self.reconcile())
        self.batch_result = service(items, nonce=nonce)
        return self.batch_result.changed

    def sync(self) -> int | None:
        """Run statemachines/sync.asl.json. Return how many recordings changed, or None if the sync failed.

        The state machine repeats a task that dies.
        """
        nonce = self.new_nonce()
        begin, end = BeginSync(**self.ports("lease")), EndSync(lease=self.ports("lease")["lease"])
        start = self.again(lambda: begin(nonce=nonce))
        if start is None:
            return None
        page: int | None = 1
        changed, newest = 0, None
        try:
            while page is not None:
                scan = self.again(partial(self.scan, start.window, page, nonce=nonce))
                newest = newest or scan.newest
                for batch in scan.batches:
                    changed += self.again(partial(self.reconcile_batch, batch, nonce=nonce))
                page = scan.next_page
        except RecordingsError:
            self.again(lambda: end(nonce=nonce, watermark=None, full_at=None))
            return None
        full_at = start.started_at if start.window.full else None
        self.again(lambda: end(nonce=nonce, watermark=newest, full_at=full_at))
        return changed

    def recover(self, recording: Recording) -> Recording:
        service = RecoverRecording(**self.ports("recordings", "provider", "executions"))
        return service(tenant_id=recording.tenant_id, recording_id=recording.id)

    def delete(self, recording: Recording) -> Recording:
        service = DeleteRecording(**self.ports("recordings"))
        return service(tenant_id=recording.tenant_id, recording_id=recording.id)

    def undelete(self, recording: Recording) -> Recording:
        service = UndeleteRecording(recordings=self.ports("recordings")["recordings"])
        return service(tenant_id=recording.tenant_id, recording_id=recording.id)

    def archive(self, recording: Recording) -> Recording:
        ports = self.ports("recordings", "archiving")
        service = ArchiveRecording(recordings=ports["recordings"], executions=ports["archiving"], clock=self.clock)
        return service(tenant_id=recording.tenant_id, recording_id=recording.id)

    def restore(self, recording: Recording, *, days: int = 7, tier: Any = "standard") -> Recording:
        service = RestoreRecording(**self.ports("recordings", "archive"))
        return service(tenant_id=recording.tenant_id, recording_id=recording.id, days=days, tier=tier)

    def track_restore(self, recording: Recording) -> Recording:
        service = TrackRestore(**self.ports("recordings", "archive"))
        return service(tenant_id=recording.tenant_id, recording_id=recording.id)

    def download(self, recording: Recording, seconds: int = 3600) -> Ready | NotYet | Archived:
        service = DownloadRecording(**self.ports("recordings", "store", "archive", "links", "access_log"))
        return service(tenant_id=recording.tenant_id, recording_id=recording.id, seconds=seconds)

    def process(self, recording: Recording, *, zombie: bool = False) -> str | None:
        """The run of this attempt by statemachines/processing.asl.json; gives how it ended, None while it waits.

        With `zombie` a run that was ended goes on all the same.
        """
        key = recording.id, recording.attempt
        if key not in self.executions.started or (key in self.executions.ended and not zombie):
            return None
        end = self._processed(recording)
        if end is not None:
            self.executions.end(recording)
        return end

    def _processed(self, recording: Recording) -> str | None:
        attempt = _attempt(recording, recording.attempt)
        try:
            response = self.again(lambda: self.check(recording))
            if response is None:
                return None
            if response.state == "over":
                return "over"
            if response.state == "stalled":
                return self._stalled(attempt, failed=False)
            for _ in range(3):
                try:
                    return self._transfer(attempt, partial=response.partial)
                except (SourceChanged, ChecksumMismatch, SourceUnavailable):
                    self._drop_upload(attempt)
        except (ProviderRecordingFailed, SourceExpired, TracksOnly) as error:
            failure = {ProviderRecordingFailed: LOST, SourceExpired: EXPIRED, TracksOnly: TRACKS}[type(error)]
            mark = MarkFailed(**self.ports("recordings"))
            self.again(lambda: mark(attempt, failure))
            return "failed"
        except AttemptReplaced:
            return "replaced"
        except RecordingsError:
            pass
        return self._stalled(attempt)

    def give_up(self, recording: Recording) -> None:
        """The run of this attempt fails for a reason that no repeat could mend."""
        if self.executions.is_running(recording):
            self._stalled(_attempt(recording, recording.attempt))
            self.executions.end(recording)

    def _stalled(self, attempt: Attempt, *, failed: bool = True) -> str:
        mark = MarkStalled(**self.ports("recordings", "store"), limits=self.limits)
        self.again(lambda: mark(attempt, failed=failed))
        return "stalled"

    def _drop_upload(self, attempt: Attempt) -> None:
        """AbortTransfer: of the plan that failed, which has an upload only if it is large."""
        AbortTransfer(store=self.r2)(self.plans.get((attempt.recording_id, attempt.attempt)))

    def _transfer(self, attempt: Attempt, *, partial: bool) -> str:
        ports = self.ports("recordings", "provider", "store", "part_checksums")
        known = {name: ports[name] for name in ("recordings", "provider", "clock")}
        reader = self.make_reader()
        planning = PlanTransfer(
            **known,
            store=ports["store"],
            source=reader,
            read_media_facts=self.read_media_facts,
            multipart_threshold_bytes=self.multipart_threshold_bytes,
        )
        plan = self.again(lambda: planning(attempt))
        self.plans[attempt.recording_id, attempt.attempt] = plan
        result = self._carried(
            attempt,
            plan,
            CopySegment(**ports, source=reader, progress_interval_bytes=self.progress_interval_bytes),
            CheckSegment(**ports, source=reader),
            CompleteTransfer(**{name: ports[name] for name in ("recordings", "store", "part_checksums")}),
        )
        verify = VerifyTransfer(
            store=ports["store"],
            read_media_facts=self.read_media_facts,
            multipart_threshold_bytes=self.multipart_threshold_bytes,
        )
        found = self.again(lambda: verify(plan, result))
        mark = MarkReady(**known, store=ports["store"], limits=self.limits)
        return str(self.again(lambda: mark(attempt, found, key=plan.key, errored=partial)))

    def _carried(
        self,
        attempt: Attempt,
        plan: TransferPlan,
        copy: CopySegment | CopyToArchive,
        check: CheckSegment | CheckArchive,
        complete: CompleteTransfer | CompleteArchive,
    ) -> TransferResult:
        """Copy all segments, verify them, and complete, as both state machines do."""
        for segment in plan.segments:
            self.again(partial(copy, attempt, plan, segment))
        result = self.again(lambda: complete(attempt, plan, checked=False))
        if result.verified:
            return result
        for segment in plan.segments:
            self.again(partial(check, attempt, plan, segment))
        return self.again(lambda: complete(attempt, plan, checked=True))

    def move(self, recording: Recording) -> str | None:
        """The run of this move by statemachines/archiving.asl.json; gives how it ended, None when there is none."""
        key = recording.id, recording.archive_attempt
        if key not in self.moves.started or key in self.moves.ended:
            return None
        end = self._moved(recording)
        self.moves.end(recording)
        return end

    def _moved(self, recording: Recording) -> str:
        attempt = _attempt(recording, recording.archive_attempt)
        ports = self.ports("recordings", "store", "archive", "part_checksums", "links")
        plan: TransferPlan | None = None
        result: TransferResult | None = None
        try:
            if not self.again(lambda: BeginArchive(recordings=ports["recordings"])(attempt)):
                return "nothing"
            reader = StoredReader(ports["store"])
            planning = PlanArchive(
                recordings=ports["recordings"],
                source=reader,
                archive=ports["archive"],
                clock=self.clock,
                multipart_threshold_bytes=self.multipart_threshold_bytes,
            )
            plan = self.again(lambda: planning(attempt))
            if plan is not None:
                known = {name: ports[name] for name in ("recordings", "archive", "part_checksums")}
                copy = CopyToArchive(**known, source=reader, progress_interval_bytes=self.progress_interval_bytes)
                check = CheckArchive(**known, source=reader)
                result = self._carried(attempt, plan, copy, check, CompleteArchive(**known))
            finish = FinishArchive(
                **{name: ports[name] for name in ("recordings", "store", "archive", "links", "clock")}
            )
            self.again(lambda: finish(attempt, plan, result))
        except (RecordingsError, TransferError):
            abandon = AbandonArchive(recordings=ports["recordings"], clock=self.clock, archive=ports["archive"])
            self.again(lambda: abandon(attempt))
            return "abandoned"
        return "done"

    def abandon(self, recording: Recording) -> None:
        """The execution of this move fails for a reason that no retry could repair."""
        if (recording.id, recording.archive_attempt) in self.moves.ended:
            return
        ports = self.ports("recordings", "archive")
        abandon = AbandonArchive(recordings=ports["recordings"], clock=self.clock, archive=ports["archive"])
        self.again(lambda: abandon(_attempt(recording, recording.archive_attempt)))
        self.moves.end(recording)

    def release_meeting(self) -> ReleaseMeeting:
        ports = self.ports("rooms", "provider", "retry_queue")
        sync = SyncRecordings(**self.ports("rooms", "recordings", "provider"), reconcile=self.reconcile())
        import_recording = ImportRecording(recordings=self.ports("recordings")["recordings"], new_id=self.new_id)
        return ReleaseMeeting(
            **ports, sync_recordings=sync, import_recording=import_recording, new_nonce=self.new_nonce
        )

    def put_room(
        self, *, tenant_id: str = "tenant_1", room_id: str = "room_1", may_adopt: bool = True, **asked: Any
    ) -> tuple[Room, bool]:
        service = PutRoom(
            **self.ports("rooms", "provider"), release_meeting=self.release_meeting, new_nonce=self.new_nonce
        )
        named = {"name": "Name"} | asked
        return service(tenant_id=tenant_id, room_id=room_id, may_adopt=may_adopt, **named)

    def delete_room(self, *, tenant_id: str = "tenant_1", room_id: str = "room_1") -> Room:
        service = DeleteRoom(rooms=self.ports("rooms")["rooms"], release_meeting=self.release_meeting())
        return service(tenant_id=tenant_id, room_id=room_id)

    def room(self) -> Room:
        return self.rooms.get("tenant_1", "room_1")

    def all(self) -> list[Recording]:
        return list(self.memory.recordings.values())

    def of(self, provider_recording: ProviderRecording) -> Recording:
        (found,) = [
            one for one in self.all() if one.cloudflare_recording_id == provider_recording.cloudflare_recording_id
        ]
        return found

    def let_go(self) -> None:
        """No trap any more, and whoever died holds nothing any longer."""
        self.trap = Trap(-1)
        self.clock.advance(seconds=LEASE_DURATION.total_seconds() + 1)

    def settle(self) -> None:
        """What the world does in the end whatever went wrong: somebody stops, Cloudflare tells, the runs look."""
        self.let_go()
        for _ in range(3):
            try:
                self.stop()
            except NoActiveRecording:
                break
        for cloudflare_recording_id in list(self.cloudflare.captured):
            self.webhook(cloudflare_recording_id)
        for recording in self.executions.started.values():
            try:
                self.check(recording)
            except ProviderRecordingFailed:
                pass

    def assert_settled(self) -> None:
        """Nothing is running, held or lost, and everything is counted."""
        self.assert_sound()
        assert self.cloudflare.running() == []
        room, now = self.room(), self.clock()
        assert room.active_recording_id is None
        assert room.lease_until is None or room.lease_until <= now
        for cloudflare_recording_id in self.cloudflare.captured:
            recording = self.of(self.cloudflare.get(cloudflare_recording_id))
            assert recording.status is not Status.RECORDING
            assert (recording.id, recording.attempt) in self.executions.started
        assert len(self.all()) == len(self.cloudflare.captured)

    def assert_sound(self) -> None:
        """What holds at every moment."""
        meetings = Counter(one.meeting_id for one in self.cloudflare.running() if not one.tracks)
        assert all(number == 1 for number in meetings.values())
        per_capture = Counter(one.cloudflare_recording_id for one in self.all())
        assert all(number == 1 for number in per_capture.values())
        tallies: dict[Any, Counter[str]] = {}
        held = {room.active_recording_id for room in self.memory.rooms.values()} - {None}
        assert held <= {one.id for one in self.all() if one.status is Status.RECORDING}
        for one in self.all():
            for room_id in (None, one.room_id):
                key = one.tenant_id, room_id, day_of(one.created_at)
                tallies.setdefault(key, Counter()).update(difference(None, one))
            assert [change.status for change in one.history][-1] is one.status
            for before, after in pairwise(one.history):
                assert after.status in TRANSITIONS[before.status].values(), one.history
                assert before.at <= after.at
            assert one.version >= len(one.history)
        assert _not_zero(self.memory.tallies) == _not_zero(tallies)


def _attempt(recording: Recording, attempt: int) -> Attempt:
    return Attempt(tenant_id=recording.tenant_id, recording_id=recording.id, attempt=attempt)


def _not_zero(tallies: dict[Any, Counter[str]]) -> dict[Any, dict[str, int]]:
    plain = {key: {name: number for name, number in tally.items() if number} for key, tally in tallies.items()}
    return {key: tally for key, tally in plain.items() if tally}


def attempt(act: Callable[[], object]) -> object:
    """What came of it, an error that is told to a caller included."""
    try:
        return act()
    except (RecordingsError, ProviderRecordingFailed) as error:
        return error
