"""The stand-in's state, and how time and calls change it. `state` has the data classes."""

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tools.local.standin.media import Given, Media, base_file
from tools.local.standin.presets import default_presets
from tools.local.standin.signing import Signer
from tools.local.standin.state import FINAL, RUNNING, Fault, Meeting, Recording, Row, Session, Settings, now

MAX_MEDIA_SECONDS = 20


class World:
    """The whole state. It belongs to one event loop; threads create files."""

    def __init__(self, folder: Path, origin: str, r2_endpoint: str) -> None:
        self.folder, self.origin, self.r2_endpoint = folder, origin, r2_endpoint
        self.signer = Signer()
        self.threads = ThreadPoolExecutor(4)
        self.background: set[asyncio.Task[None]] = set()
        self.random = random.Random(0)
        self.announce: Callable[[Recording], None] = lambda recording: None
        self.clear()

    def clear(self) -> None:
        """Delete everything except the keys."""
        for task in [*self.background]:
            task.cancel()
        self.settings = Settings()
        self.meetings: dict[str, Meeting] = {}
        self.sessions: dict[str, Session] = {}
        self.apps: dict[str, dict[str, Any]] = {}
        self.presets = default_presets(now())
        self.recordings: dict[str, Recording] = {}
        self._sorted: list[Recording] = []
        self.rows: list[Row] = []
        self.by_meeting: dict[str, list[Recording]] = {}
        self.webhooks: dict[str, dict[str, Any]] = {}
        self.deliveries: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []
        self.calls: list[float] = []
        self.blocked_until = 0.0

    # ------------------------------------------------------------ meetings and recordings

    def add_meeting(self, title: str | None, *, record_on_start: bool, config: dict[str, Any] | None) -> Meeting:
        meeting = Meeting(str(uuid.uuid4()), title, record_on_start, now(), recording_config=config)
        self.meetings[meeting.id] = meeting
        return meeting

    def active(self, meeting_id: str, *, tracks: bool = False) -> Recording | None:
        """Return the newest running recording of a meeting. With `tracks`, track recordings count as well."""
        running = [one for one in self.by_meeting.get(meeting_id, []) if one.status in RUNNING]
        return next((one for one in reversed(running) if tracks or one.tracks is None), None)

    def oldest_first(self) -> list[Recording]:
        """Return all recordings by the time of their request. They are sorted again only after an addition."""
        if len(self._sorted) != len(self.recordings):
            self._sorted = sorted(self.recordings.values(), key=lambda one: (one.invoked_at, one.id))
        return self._sorted

    def begin(self, meeting_id: str, *, auto: bool, at: datetime | None = None, **facts: Any) -> Recording:
        """Create a requested recording, which becomes RECORDING by itself."""
        invoked = at or now()
        prefix = facts.pop("prefix", None)
        name = f"{prefix}_" if prefix else ""
        recording = Recording(
            id=str(uuid.uuid4()),
            meeting_id=meeting_id,
            auto=auto,
            invoked_at=invoked,
            file_name=f"{name}{meeting_id}_{int(invoked.timestamp() * 1000)}.mp4",
            **facts,
        )
        self.recordings[recording.id] = recording
        self.by_meeting.setdefault(meeting_id, []).append(recording)
        return recording

    def run(self, recording: Recording) -> None:
        """Start the clock of a recording."""
        if self.settings.read_lag:
            recording.visible_at = now() + timedelta(seconds=self.settings.read_lag)
        self.later(recording, self.settings.start_seconds, lambda: self._captures(recording))
        self.later(recording, recording.max_seconds, lambda: self._at_limit(recording))

    def end(self, recording: Recording, reason: str) -> None:
        """End the recording and start its upload, unless it has ended."""
        if recording.status not in RUNNING:
            return
        self.go_on(recording)
        recording.stopped_at, recording.stop_reason = now(), reason
        recording.started_at = recording.started_at or recording.invoked_at
        self.change(recording, "UPLOADING")
        if self.settings.stall_in != "UPLOADING":
            self.later(recording, self.settings.upload_seconds, lambda: self._upload(recording))

    def pause(self, recording: Recording) -> None:
        """Pause the recording and its clock."""
        recording.paused_at = now()
        self.change(recording, "PAUSED")

    def resume(self, recording: Recording) -> None:
        """Resume a paused recording."""
        self.go_on(recording)
        self.change(recording, "RECORDING")

    def go_on(self, recording: Recording) -> None:
        """End the pause, if there is one."""
        if recording.paused_at is not None:
            recording.paused_seconds += (now() - recording.paused_at).total_seconds()
            recording.paused_at = None

    def _at_limit(self, recording: Recording) -> None:
        """Stop the recording at its maximum duration. A pause in the meantime extends the wait."""
        left = recording.max_seconds - recording.recorded_seconds
        if left <= 0.05:
            self.end(recording, "ALL_PEERS_LEFT")
        elif recording.status in RUNNING:
            self.later(recording, max(left, 1), lambda: self._at_limit(recording))

    def fail(self, recording: Recording, error: str) -> None:
        """Set the recording to ERRORED: it is lost."""
        recording.stopped_at = recording.stopped_at or now()
        recording.error, recording.stop_reason = error, recording.stop_reason or "INTERNAL_ERROR"
        self.change(recording, "ERRORED")

    def change(self, recording: Recording, status: str) -> None:
        """Set a status and send the webhooks."""
        recording.status = status
        if status in FINAL:
            for task in recording.timers:
                if task is not asyncio.current_task():
                    task.cancel()
        self.announce(recording)

    def later(self, recording: Recording, seconds: float, act: Callable[[], object]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            done = act()
            if isinstance(done, Coroutine):
                await done

        recording.timers.append(self.spawn(wait()))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in the background until it ends or a reset."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    def _captures(self, recording: Recording) -> None:
        if recording.status == "INVOKED" and self.settings.stall_in != "INVOKED":
            recording.started_at = now()
            self.change(recording, "RECORDING")

    async def _upload(self, recording: Recording) -> None:
        if recording.status == "UPLOADING":
            await self.finish(recording)

    async def finish(self, recording: Recording) -> None:
        """Create and store the file, and set the recording to UPLOADED."""
        await self.make_media(recording)
        recording.url_until = now() + timedelta(seconds=self.settings.url_seconds)
        if recording.storage_config and self.settings.own_bucket == "deliver":
            await self.deliver(recording, None)
        self.change(recording, "UPLOADED")
        if (
            recording.storage_config
            and self.settings.own_bucket == "late"
            and self.settings.delivery_seconds is not None
        ):
            self.later(recording, self.settings.delivery_seconds, lambda: self.deliver(recording, None))

    async def deliver(self, recording: Recording, first_bytes: int | None) -> None:
        """Put the file, or its first bytes, into the customer's bucket."""
        media = await self.make_media(recording)
        sent = media if first_bytes is None else media.first(first_bytes)
        try:
            await asyncio.get_running_loop().run_in_executor(self.threads, self._deliver, recording, sent)
        except Exception as error:
            # As far as is documented, Cloudflare then keeps its own copy. The error is logged.
            recording.error = f"{type(error).__name__}: {error}"
            print("delivery to the customer's bucket failed:", recording.error, flush=True)

    async def make_media(self, recording: Recording) -> Media:
        """Return the recording's file, created now unless it exists."""
        if recording.media is None:
            seconds = max(1, min(MAX_MEDIA_SECONDS, round(recording.recorded_seconds)))
            recording.duration = seconds if self.settings.duration_known else None
            if recording.given is not None:
                recording.media = Given(recording.given, recording.id)
                return recording.media
            base = await asyncio.get_running_loop().run_in_executor(
                self.threads, base_file, self.folder / "media", seconds
            )
            recording.media = Media(base, recording.id, recording.media_size, exact=recording.media_exact)
        return recording.media

    def _deliver(self, recording: Recording, media: Media) -> None:
        config = recording.storage_config
        assert config is not None
        client = boto3.client(
            "s3", endpoint_url=self.r2_endpoint, region_name="auto",
            aws_access_key_id=config["access_key"], aws_secret_access_key=config["secret"],
            config=Config(
                s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=60,
                request_checksum_calculation="when_required", response_checksum_validation="when_required",
            ),
        )  # fmt: skip
        path = str(config.get("path") or "").strip("/")
        key = f"{path}/{recording.file_name}" if path else recording.file_name
        part = 64 * 1024 * 1024
        if media.size <= part:
            client.put_object(
                Bucket=config["bucket"], Key=key, Body=b"".join(media.read(0, media.size - 1)), ContentType="video/mp4"
            )
            return
        upload = client.create_multipart_upload(Bucket=config["bucket"], Key=key, ContentType="video/mp4")["UploadId"]
        parts: list[Any] = []
        for number, first in enumerate(range(0, media.size, part), start=1):
            body = b"".join(media.read(first, min(first + part, media.size) - 1))
            etag = client.upload_part(
                Bucket=config["bucket"], Key=key, UploadId=upload, PartNumber=number, Body=body
            )["ETag"]  # fmt: skip
            parts.append({"ETag": etag, "PartNumber": number})
        client.complete_multipart_upload(
            Bucket=config["bucket"], Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    # ------------------------------------------------------------ faults

    def fault(
        self,
        on: str,
        *,
        recording_id: str | None = None,
        meeting_id: str | None = None,
        kinds: frozenset[str] | None = None,
        served: range | None = None,
    ) -> Fault | None:
        """Return the fault for this call, or None. A flip applies only if its byte is among those `served`."""
        for fault in self.faults:
            if fault.on not in (on, "any") and not (fault.on == "api" and on not in ("media", "key")):
                continue
            if kinds is not None and fault.kind not in kinds:
                continue
            if fault.recording_id not in (None, recording_id) or fault.meeting_id not in (None, meeting_id):
                continue
            if fault.times == 0:
                continue
            if fault.kind == "flip" and (served is None or fault.at not in served):
                continue
            if self.random.random() >= fault.probability:
                continue
            if fault.after:
                fault.after -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    async def held(self, fault: Fault) -> None:
        """Wait until a fault is removed."""
        while any(one is fault for one in self.faults):
            await asyncio.sleep(0.02)
