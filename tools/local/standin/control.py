"""The control API of the stand-in: what tests and people make it do. docs/stand-in.md describes each call."""

import asyncio
import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tools.local.standin import lies
from tools.local.standin.cloudflare import Api
from tools.local.standin.state import RUNNING, Fault, Meeting, Recording, Row, now
from tools.local.standin.webhooks import Sender
from tools.local.standin.world import World


class Control:
    """Handlers under `/_control`. An unknown field is rejected, because a test with a typo would test nothing."""

    def __init__(self, world: World, api: Api, sender: Sender) -> None:
        self.world, self.api, self.sender = world, api, sender

    def routes(self) -> list[web.RouteDef]:
        at = "/_control"
        return [
            web.get(f"{at}/recordings", self.list),
            web.post(f"{at}/recordings", self.create),
            web.get(f"{at}/recordings/{{id}}", self.get),
            web.patch(f"{at}/recordings/{{id}}", self.patch),
            web.put(f"{at}/recordings/{{id}}/file", self.file),
            web.post(f"{at}/recordings/{{id}}/deliver", self.deliver),
            web.post(f"{at}/recordings/{{id}}/end", self.end),
            web.post(f"{at}/recordings/{{id}}/status", self.status),
            web.post(f"{at}/auto-start", self.auto_start),
            web.post(f"{at}/join", self.join),
            web.get(f"{at}/meetings", self.meetings),
            web.post(f"{at}/meetings", self.meeting),
            web.get(f"{at}/rows", self.rows),
            web.post(f"{at}/rows", self.add_row),
            web.delete(f"{at}/rows", self.clear_rows),
            web.get(f"{at}/requests", self.requests),
            web.delete(f"{at}/requests", self.forget_requests),
            web.get(f"{at}/deliveries", self.deliveries),
            web.get(f"{at}/faults", self.faults),
            web.post(f"{at}/faults", self.add_fault),
            web.delete(f"{at}/faults", self.clear_faults),
            web.post(f"{at}/settings", self.set),
            web.post(f"{at}/webhooks/resend", self.resend),
            web.post(f"{at}/webhooks/forge", self.forge),
            web.post(f"{at}/rotate-webhook-key", self.rotate),
            web.post(f"{at}/reset", self.reset),
        ]

    def _found(self, request: web.Request) -> Recording:
        return self._recording(request.match_info["id"])

    def _recording(self, recording_id: str) -> Recording:
        recording = self.world.recordings.get(recording_id)
        if recording is None:
            raise web.HTTPNotFound(text="there is no such recording\n")
        return recording

    async def _view(self, recording: Recording, *, digest: bool) -> dict[str, Any]:
        media = recording.media
        sha256 = None
        if media is not None and digest:
            sha256 = await asyncio.get_running_loop().run_in_executor(self.world.threads, lambda: media.sha256)
        return {
            "id": recording.id,
            "meeting_id": recording.meeting_id,
            "status": recording.status,
            "auto": recording.auto,
            "file_name": recording.file_name,
            "size": media.size if media else None,
            "duration": recording.duration,
            "sha256": sha256,
            "error": recording.error,
        }

    async def list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("meeting_id")
        rows = [one for one in self.world.recordings.values() if wanted in (None, one.meeting_id)]
        small = [one.media is None or one.media.size < 64 * 1024 * 1024 for one in rows]
        return _json([await self._view(one, digest=ok) for one, ok in zip(rows, small, strict=True)])

    async def get(self, request: web.Request) -> web.Response:
        return _json(await self._view(self._found(request), digest=True))

    async def create(self, request: web.Request) -> web.Response:
        """Create recordings of any number, age, status and size."""
        asked = await _asked(
            request,
            {"meeting_id", "count", "status", "size", "exact", "age_seconds", "apart_seconds", "auto", "seconds"},
        )
        world, made = self.world, []
        meeting_id = asked.get("meeting_id") or world.add_meeting("made", record_on_start=False, config=None).id
        apart, age = float(asked.get("apart_seconds", 1)), float(asked.get("age_seconds", 60))
        count, status = int(asked.get("count", 1)), asked.get("status", "UPLOADED")
        for number in range(count):
            began = now() - timedelta(seconds=age + apart * (count - 1 - number))
            recording = world.begin(
                meeting_id, auto=bool(asked.get("auto", True)), at=began, started_at=began,
                media_size=asked.get("size"), media_exact=bool(asked.get("exact", False)),
            )  # fmt: skip
            recording.status = status
            if status not in RUNNING:
                recording.stopped_at = began + timedelta(seconds=float(asked.get("seconds", 2)))
            if status == "UPLOADED":
                await world.make_media(recording)
                recording.url_until = now() + timedelta(seconds=world.settings.url_seconds)
            made.append(recording)
        if count == 1:
            return _json(await self._view(made[0], digest=True), status=201)
        return _json([one.id for one in made], status=201)

    async def patch(self, request: web.Request) -> web.Response:
        """Change a recording.

        `size` of the coming file, `exact` (without an MP4 around it), `url_until` (time), `run_out` (earlier URLs
        expire, and a new one is returned), `changed` (another file under the same name), `lost` (no URL), `partial`
        (errored, but with a file), `duration`, `session_ended_at` (when the last participant left), and the fields of
        `tools.local.standin.lies`.
        """
        recording = self._found(request)
        asked = await _asked(
            request,
            {"size", "exact", "url_until", "run_out", "changed", "lost", "partial", "duration", "session_ended_at"}
            | lies.FIELDS,
        )
        try:
            recording.lies.set(asked)
        except lies.Unfit as unfit:
            raise web.HTTPBadRequest(text=f"{unfit}\n") from None
        await self._change_file(recording, asked)
        self._change_url(recording, asked)
        if "session_ended_at" in asked:
            recording.session_ended_at = datetime.fromisoformat(asked["session_ended_at"]).astimezone(UTC)
        if "duration" in asked:
            recording.duration = asked["duration"]
        if asked.get("partial"):
            await self.world.make_media(recording)
            recording.url_until = now() + timedelta(seconds=self.world.settings.url_seconds)
            self.world.fail(recording, "the recorder was lost")
        return _json(await self._view(recording, digest=False))

    async def _change_file(self, recording: Recording, asked: Mapping[str, Any]) -> None:
        if "size" in asked:
            recording.media_size, recording.media, recording.given = int(asked["size"]), None, None
            recording.media_exact = bool(asked.get("exact", False))
            if recording.status == "UPLOADED":
                await self.world.make_media(recording)
        if asked.get("changed"):
            if recording.given is not None:
                raise web.HTTPBadRequest(text="its file was given; give it another one\n")
            recording.generation += 1
            if recording.media is not None:
                recording.media = dataclasses.replace(recording.media, seed=f"{recording.id}-{recording.generation}")

    def _change_url(self, recording: Recording, asked: Mapping[str, Any]) -> None:
        if "url_until" in asked:
            recording.url_until = datetime.fromisoformat(asked["url_until"]).astimezone(UTC)
        if asked.get("run_out") and recording.url_until is not None:
            recording.run_out = int(recording.url_until.timestamp())
            recording.url_until += timedelta(seconds=1)
        if "lost" in asked:
            recording.keeps_url = not asked["lost"]

    async def file(self, request: web.Request) -> web.Response:
        """Replace the recording's file with these bytes of the type `content_type`. Earlier URLs stay valid."""
        recording, content = self._found(request), await request.read()
        reported, had = recording.duration, recording.media is not None
        recording.given, recording.media = content, None
        recording.content_type = request.query.get("content_type", "video/mp4")
        recording.rewritten += had
        if had:
            await self.world.make_media(recording)
            recording.duration = reported
        return _json(await self._view(recording, digest=True))

    async def deliver(self, request: web.Request) -> web.Response:
        """Put the file, or only its `first_bytes`, into the customer's bucket now, even if that is switched off."""
        recording = self._found(request)
        first = (await _asked(request, {"first_bytes"})).get("first_bytes")
        if recording.storage_config is None:
            raise web.HTTPBadRequest(text="it was started without storage_config\n")
        await self.world.deliver(recording, first)
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.Response:
        self.world.end(self._found(request), "ALL_PEERS_LEFT")
        return web.Response(status=204)

    async def status(self, request: web.Request) -> web.Response:
        """Set a recording's status, and the fields that change with it."""
        recording, asked = (
            self._found(request),
            await _asked(request, {"status", "error", "announce", "paused_seconds"}),
        )
        match asked["status"]:
            case "ERRORED":
                self.world.fail(recording, asked.get("error", "the recording was lost"))
            case "UPLOADED":
                recording.stopped_at = recording.stopped_at or now()
                await self.world.finish(recording)
            case other:
                self.world.go_on(recording)
                pause = timedelta(seconds=float(asked.get("paused_seconds", 0)))
                recording.paused_at = now() - pause if other == "PAUSED" else None
                recording.status = other
                if asked.get("announce", True):
                    self.world.announce(recording)
        return _json(await self._view(recording, digest=False))

    async def auto_start(self, request: web.Request) -> web.Response:
        """Let the first participant join a meeting that records on start."""
        asked = await _asked(request, {"meeting_id", "size"})
        meeting_id = asked["meeting_id"]
        self._known(meeting_id)
        session_id = self.api.sessions.id_for(meeting_id)
        recording = self.world.begin(meeting_id, auto=True, media_size=asked.get("size"), session_id=session_id)
        self.world.run(recording)
        return _json(await self._view(recording, digest=False), status=201)

    async def join(self, request: web.Request) -> web.Response:
        """Let all participants join a meeting. Its session is live from now on, recorded or not."""
        asked = await _asked(request, {"meeting_id"})
        self._known(asked["meeting_id"])
        session = self.api.sessions.join(asked["meeting_id"])
        return _json({"session_id": session.id, "participants": [*session.participants]}, status=201)

    async def meetings(self, request: web.Request) -> web.Response:
        """Return every meeting, oldest first, and whether it records on start."""
        return _json([_meeting_view(one) for one in self.world.meetings.values()])

    async def meeting(self, request: web.Request) -> web.Response:
        """Create a meeting under an id of the caller's choice, or change one."""
        asked = await _asked(request, {"meeting_id", "record_on_start"})
        self._known(asked["meeting_id"])
        meeting = self.world.meetings[asked["meeting_id"]]
        meeting.record_on_start = bool(asked.get("record_on_start", meeting.record_on_start))
        return _json(_meeting_view(meeting), status=201)

    async def rows(self, request: web.Request) -> web.Response:
        return _json([{"row": one.content, "meeting_id": one.meeting_id} for one in self.world.rows])

    async def add_row(self, request: web.Request) -> web.Response:
        """Add any JSON as a row, `age_seconds` old. Without `meeting_id` only the app's listing has it."""
        asked = await _asked(request, {"row", "meeting_id", "age_seconds"})
        began = now() - timedelta(seconds=float(asked.get("age_seconds", 0)))
        self.world.rows.append(Row(asked["row"], asked.get("meeting_id"), began))
        return web.Response(status=204)

    async def clear_rows(self, request: web.Request) -> web.Response:
        self.world.rows.clear()
        return web.Response(status=204)

    def _known(self, meeting_id: str) -> None:
        if meeting_id not in self.world.meetings:
            self.world.meetings[meeting_id] = Meeting(meeting_id, "made elsewhere", True, now())

    async def requests(self, request: web.Request) -> web.Response:
        """Return the calls so far, oldest first, and the number for each operation."""
        counts: dict[str, int] = {}
        for call in self.world.requests:
            counts[call["operation"]] = counts.get(call["operation"], 0) + 1
        return web.json_response({"data": self.world.requests[-10_000:], "counts": counts})

    async def forget_requests(self, request: web.Request) -> web.Response:
        self.world.requests.clear()
        return web.Response(status=204)

    async def deliveries(self, request: web.Request) -> web.Response:
        return _json(self.world.deliveries[-1000:])

    async def faults(self, request: web.Request) -> web.Response:
        return _json([dataclasses.asdict(fault) for fault in self.world.faults])

    async def add_fault(self, request: web.Request) -> web.Response:
        names = {one.name for one in dataclasses.fields(Fault)}
        asked = await _asked(request, names)
        self.world.faults.append(Fault(**{**asked, "on": asked["on"], "kind": asked["kind"]}))
        return web.Response(status=204)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Remove all faults and reset the settings."""
        self.world.faults.clear()
        self.world.settings = type(self.world.settings)()
        self.world.blocked_until, self.world.calls = 0.0, []
        return web.Response(status=204)

    async def set(self, request: web.Request) -> web.Response:
        names = {one.name for one in dataclasses.fields(self.world.settings)}
        for name, value in (await _asked(request, names)).items():
            setattr(self.world.settings, name, value)
        return _json(dataclasses.asdict(self.world.settings))

    async def resend(self, request: web.Request) -> web.Response:
        """Send the webhook of a recording again; with `status`, that of an earlier status."""
        asked = await _asked(request, {"recording_id", "status", "copies"})
        body = self.sender.body(self._recording(asked["recording_id"]))
        if "status" in asked:
            body["recording"]["status"] = asked["status"]
        for _ in range(int(asked.get("copies", 1))):
            self.sender.send(json.dumps(body).encode())
        return web.Response(status=204)

    async def forge(self, request: web.Request) -> web.Response:
        """Send any body: signed, unsigned, signed with another key (`forged`), or altered after signing."""
        asked = await _asked(request, {"body", "forged", "unsigned", "altered"})
        self.sender.send(
            json.dumps(asked["body"]).encode(),
            forged=bool(asked.get("forged")),
            unsigned=bool(asked.get("unsigned")),
            altered=bool(asked.get("altered")),
        )
        return web.Response(status=204)

    async def rotate(self, request: web.Request) -> web.Response:
        self.world.signer.rotate()
        return web.Response(status=204)

    async def reset(self, request: web.Request) -> web.Response:
        self.world.clear()
        return _json({})


class _Asked(dict[str, Any]):
    """The JSON body of a call. A required field that is missing is a 400."""

    def __missing__(self, name: str) -> Any:
        raise web.HTTPBadRequest(text=f"{name} is needed\n")


async def _asked(request: web.Request, known: set[str]) -> dict[str, Any]:
    found = await request.json()
    if not isinstance(found, dict) or not found.keys() <= known:
        raise web.HTTPBadRequest(text=f"known are {', '.join(sorted(known))}\n")
    return _Asked(found)


def _meeting_view(meeting: Meeting) -> dict[str, Any]:
    return {"meeting_id": meeting.id, "title": meeting.title, "record_on_start": meeting.record_on_start}


def _json(data: Any, *, status: int = 200) -> web.Response:
    return web.json_response({"data": data}, status=status)
