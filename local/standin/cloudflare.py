"""RealtimeKit's REST API as far as recordings need it, and the presigned files (sources: docs/stand-in.md)."""

import asyncio
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from local.standin.lies import Answer
from local.standin.media import Media
from local.standin.world import ORGANIZATION, Fault, Recording, Row, World, instant, now

TOKEN = "local-cloudflare-token"
URL_SECRET = b"stand-in"
BASE = "/client/v4/accounts/{account}/realtime/kit/{app}"
HTML = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def success(data: Any, *, status: int = 200, **more: Any) -> web.Response:
    return web.json_response({"success": True, "data": data, **more}, status=status)


def failure(status: int, message: str) -> web.Response:
    """RealtimeKit's own error envelope."""
    return web.json_response({"success": False, "error": {"code": status, "message": message}}, status=status)


def refusal(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """The error envelope of Cloudflare's gateway."""
    document = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return web.json_response(document, status=status, headers=headers)


def as_told(fault: Fault) -> web.Response:
    """The answer a fault gives."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.body:
        case "html":
            return web.Response(status=fault.status, text=HTML, content_type="text/html", headers=headers)
        case "errors":
            return refusal(fault.status, 10000, "a fault was asked for", headers)
        case "empty":
            return web.Response(status=fault.status, headers=headers)
        case "unsuccessful":
            return web.json_response(
                {"success": False, "error": {"code": 500, "message": "a fault was asked for"}}, status=200
            )
        case _:
            answer = failure(fault.status, "a fault was asked for")
            answer.headers.update(headers)
            return answer


class Api:
    """The handlers; each names its operation, so that a fault can strike it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{BASE}/recordings", self._guarded("start", self.start)),
            web.get(f"{BASE}/recordings", self._guarded("list", self.list)),
            web.get(f"{BASE}/recordings/active-recording/{{meeting}}", self._guarded("active", self.active)),
            web.get(f"{BASE}/recordings/{{id}}", self._guarded("get", self.get), allow_head=False),
            web.put(f"{BASE}/recordings/{{id}}", self._guarded("stop", self.command)),
            web.get(f"{BASE}/sessions/{{id}}", self._guarded("session", self.session)),
            web.post(f"{BASE}/meetings", self._guarded("create_meeting", self.create_meeting)),
            web.get(f"{BASE}/meetings/{{id}}", self._guarded("get_meeting", self.get_meeting)),
            web.patch(f"{BASE}/meetings/{{id}}", self._guarded("set_meeting", self.set_meeting)),
            web.get(f"{BASE}/webhooks", self._guarded("webhooks", self.list_webhooks)),
            web.get(f"{BASE}/webhooks/all", self._guarded("webhooks", self.list_all_webhooks)),
            web.post(f"{BASE}/webhooks", self._guarded("webhooks", self.add_webhook)),
            web.patch(f"{BASE}/webhooks/{{id}}", self._guarded("webhooks", self.change_webhook)),
            web.get("/.well-known/webhooks.json", self.webhook_key),
            web.get("/media/{id}/{name}", self.media, allow_head=False),
        ]

    def _guarded(self, operation: str, handle: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            world = self.world
            world.requests.append({"operation": operation, "path": request.path_qs, "at": time.time()})
            limited = self._limited()
            if limited is not None:
                return limited
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return refusal(401, 10000, "Authentication error")
            fault = world.fault(operation, meeting_id=await self._meeting_of(request))
            if fault is None:
                return await handle(request)
            if fault.effect:
                await handle(request)
            if fault.seconds:
                await asyncio.sleep(fault.seconds)
            if fault.kind == "hold":
                await world.held(fault)
            if fault.kind in ("delay", "hold"):
                return await handle(request)
            if fault.kind == "drop":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return as_told(fault)

        return guarded

    async def _meeting_of(self, request: web.Request) -> str | None:
        """The meeting that a call is about, if it is about one and a fault asks for it."""
        named, world = request.match_info, self.world
        if all(fault.meeting_id is None for fault in world.faults):
            return None
        if "meeting" in named:
            return named["meeting"]
        if "id" in named:
            its = (one for one in world.recordings.values() if named["id"] in (one.id, one.session_id))
            return next((one.meeting_id for one in its), named["id"])
        if "meeting_id" in request.query:
            return request.query["meeting_id"]
        asked = (await _json(request)).get("meeting_id") if request.can_read_body else None
        return asked if isinstance(asked, str) else None

    def _limited(self) -> web.Response | None:
        """Cloudflare's limit: beyond it everything is blocked for a while (fundamentals/api/reference/limits)."""
        world, at = self.world, time.monotonic()
        settings = world.settings
        if at < world.blocked_until:
            after = {"Retry-After": str(int(world.blocked_until - at) + 1)}
            return refusal(429, 971, "Please wait and consider throttling your request speed", after)
        if settings.limit_calls is None:
            return None
        world.calls = [called for called in world.calls if called > at - settings.limit_seconds]
        if len(world.calls) >= settings.limit_calls:
            world.blocked_until = at + settings.block_seconds
            after = {"Retry-After": str(int(settings.block_seconds) or 1)}
            limit = f"more than {settings.limit_calls} requests per {settings.limit_seconds:.0f} seconds reached"
            return refusal(429, 971, limit, after)
        world.calls.append(at)
        return None

    # ------------------------------------------------------------ recordings

    def view(self, recording: Recording, where: str) -> dict[str, Any]:
        """A recording as one endpoint tells it: `start`, `get`, `list` or `active` (null and missing keys differ)."""
        media = recording.media
        stored = recording.status == "UPLOADED" or (recording.status == "ERRORED" and media is not None)
        expired = recording.url_until is not None and recording.url_until <= now()
        url = self.url(recording) if stored and media and recording.keeps_url and not expired else None
        told: dict[str, Any] = {
            "id": recording.id,
            "status": recording.status,
            "invoked_time": instant(recording.invoked_at),
            "started_time": instant(recording.started_at),
            "stopped_time": instant(recording.stopped_at),
            "session_id": recording.session_id if recording.started_at else None,
            "output_file_name": recording.file_name,
            "file_size": media.size if stored and media else None,
            "download_url": url,
            "audio_download_url": None,
            "download_url_expiry": instant(recording.url_until) if stored else None,
        }
        if where != "active":
            told["storage_config"] = None
        if stored and recording.duration is not None:
            told["recording_duration"] = recording.duration
        if where == "list":
            meeting = self.world.meetings.get(recording.meeting_id)
            if meeting is not None and self.world.settings.rows_name_their_meeting:
                told["meeting"] = self._meeting(meeting.id)
        if where in ("start", "get"):
            caller = {"name": "local", "type": "ORGANIZATION", "user_Id": ORGANIZATION}
            told["start_reason"] = (
                {"reason": "RECORD_ON_START"} if recording.auto else {"reason": "API_CALL", "caller": caller}
            )
            if recording.stop_reason:
                told["stop_reason"] = {"reason": recording.stop_reason}
        return recording.lies.row(told, where)

    def url(self, recording: Recording) -> str:
        """A presigned URL: made anew each time, valid until the file expires."""
        assert recording.url_until is not None
        until = int(recording.url_until.timestamp())
        signature = self._signature(recording, until)
        return (
            f"{self.world.origin}/media/{recording.id}/{quote(recording.file_name)}?until={until}&signature={signature}"
        )

    def _signature(self, recording: Recording, until: int) -> str:
        text = f"{recording.id}:{recording.generation}:{until}".encode()
        return hmac.new(URL_SECRET, text, hashlib.sha256).hexdigest()

    async def start(self, request: web.Request) -> web.Response:
        world, asked = self.world, await _json(request)
        meeting_id, seconds = asked.get("meeting_id"), asked.get("max_seconds", 86_400)
        if not isinstance(meeting_id, str) or meeting_id not in world.meetings:
            return failure(422 if not isinstance(meeting_id, str) else 404, "meeting_id names no meeting")
        if not isinstance(seconds, int) or not 60 <= seconds <= 86_400:
            return failure(422, "max_seconds must be between 60 and 86400")
        config = asked.get("storage_config")
        if config is not None:
            wanted = {"type", "access_key", "secret", "bucket"}
            if world.settings.own_bucket == "refuse" or not wanted <= config.keys():
                return failure(422, "storage_config is not valid")
        if world.active(meeting_id) is not None and not asked.get("allow_multiple_recordings"):
            return failure(world.settings.already_recording_status, "Recording already in progress")
        keeps = (asked.get("realtimekit_bucket_config") or {}).get("enabled", True)
        recording = world.begin(
            meeting_id, auto=False, max_seconds=seconds, storage_config=config, keeps_url=keeps,
            prefix=asked.get("file_name_prefix"),
        )  # fmt: skip
        world.run(recording)
        return success(self.view(recording, "start"), status=201)

    async def list(self, request: web.Request) -> web.Response:
        world, query = self.world, request.query
        rows: list[Recording | Row] = [one for one in world.oldest_first() if not one.hidden_from("list")]
        if world.rows:
            rows = sorted([*rows, *world.rows], key=lambda one: one.invoked_at)
        if "meeting_id" in query:
            rows = [one for one in rows if one.meeting_id == query["meeting_id"]]
        wanted = {status for text in query.getall("status", []) for status in text.split(",")}
        if wanted:
            rows = [one for one in rows if isinstance(one, Recording) and one.status in wanted]
        if "start_time" in query:
            rows = [one for one in rows if one.invoked_at >= datetime.fromisoformat(query["start_time"])]
        if "end_time" in query:
            rows = [one for one in rows if one.invoked_at <= datetime.fromisoformat(query["end_time"])]
        size = int(query.get("per_page", world.settings.page_size)) or world.settings.page_size
        page = max(0, int(query.get("page_no", world.settings.page_base)) - world.settings.page_base)
        first, last = page * size, min((page + 1) * size, len(rows))
        if query.get("sort_order", "DESC") == "DESC":
            shown = rows[max(0, len(rows) - last) : max(0, len(rows) - first)][::-1]
        else:
            shown = rows[first:last]
        paging = {
            "total_count": len(rows),
            "start_offset": page * size + 1 if shown else 0,
            "end_offset": page * size + len(shown),
        }
        told = [self.view(one, "list") if isinstance(one, Recording) else one.content for one in shown]
        return success(told, paging=paging)

    async def active(self, request: web.Request) -> web.Response:
        recording = self.world.active(request.match_info["meeting"])
        if recording is None or recording.hidden_from("active"):
            return failure(404, "No active recording found")
        return success(self.view(recording, "active"))

    async def get(self, request: web.Request) -> web.Response:
        recording = self.world.recordings.get(request.match_info["id"])
        if recording is None or recording.hidden_from("get"):
            return failure(404, "Recording not found")
        return success(self.view(recording, "get"))

    async def command(self, request: web.Request) -> web.Response:
        recording = self.world.recordings.get(request.match_info["id"])
        action = (await _json(request)).get("action")
        if recording is None:
            return failure(404, "Recording not found")
        if action != "stop":
            return failure(422, "action must be stop")
        if recording.status not in ("INVOKED", "RECORDING", "PAUSED"):
            return failure(409, "Recording is not in progress")
        self.world.end(recording, "API_CALL")
        return success(self.view(recording, "get"))

    # ------------------------------------------------------------ meetings and webhooks

    def _meeting(self, meeting_id: str) -> dict[str, Any]:
        meeting = self.world.meetings[meeting_id]
        return {
            "id": meeting.id,
            "title": meeting.title,
            "record_on_start": meeting.record_on_start,
            "live_stream_on_start": False,
            "persist_chat": False,
            "status": meeting.status,
            "created_at": instant(meeting.created_at),
            "updated_at": instant(meeting.created_at),
        }

    async def session(self, request: web.Request) -> web.Response:
        """A session as long as a recording of it is known."""
        wanted = request.match_info["id"]
        recording = next((one for one in self.world.recordings.values() if one.session_id == wanted), None)
        if recording is None or recording.started_at is None:
            return failure(404, "Session not found")
        ended = recording.session_ended_at or recording.stopped_at
        told = {
            "id": wanted,
            "associated_id": recording.meeting_id,
            "status": "ENDED" if ended else "LIVE",
            "started_at": instant(recording.started_at),
            "ended_at": instant(ended),
            "updated_at": instant(ended or recording.started_at),
            "live_participants": 0 if ended else 1,
        }
        return success(told)

    async def create_meeting(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        meeting = self.world.add_meeting(
            asked.get("title"),
            record_on_start=bool(asked.get("record_on_start")),
            config=asked.get("recording_config"),
        )
        return success(self._meeting(meeting.id), status=201)

    async def get_meeting(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.world.meetings:
            return failure(404, "Meeting not found")
        return success(self._meeting(request.match_info["id"]))

    async def set_meeting(self, request: web.Request) -> web.Response:
        meeting = self.world.meetings.get(request.match_info["id"])
        if meeting is None:
            return failure(404, "Meeting not found")
        asked = await _json(request)
        meeting.title = asked.get("title", meeting.title)
        meeting.record_on_start = bool(asked.get("record_on_start", meeting.record_on_start))
        return success(self._meeting(meeting.id))

    async def list_webhooks(self, request: web.Request) -> web.Response:
        if self.world.settings.webhooks_listed_at != "webhooks":
            return failure(404, "Not found")
        return success([*self.world.webhooks.values()])

    async def list_all_webhooks(self, request: web.Request) -> web.Response:
        if self.world.settings.webhooks_listed_at != "all":
            return failure(404, "Webhook not found")
        return success([*self.world.webhooks.values()])

    async def add_webhook(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        if not isinstance(asked.get("url"), str) or not isinstance(asked.get("events"), list):
            return failure(422, "url and events are required")
        hook = {
            "id": str(uuid.uuid4()),
            "name": asked.get("name"),
            "url": asked["url"],
            "events": asked["events"],
            "enabled": asked.get("enabled", True),
            "created_at": instant(now()),
            "updated_at": instant(now()),
        }
        self.world.webhooks[hook["id"]] = hook
        return success(hook, status=201)

    async def change_webhook(self, request: web.Request) -> web.Response:
        hook = self.world.webhooks.get(request.match_info["id"])
        if hook is None:
            return failure(404, "Webhook not found")
        asked = await _json(request)
        hook.update({name: asked[name] for name in ("name", "url", "events", "enabled") if name in asked})
        return success(hook)

    async def webhook_key(self, request: web.Request) -> web.StreamResponse:
        self.world.requests.append({"operation": "key", "path": request.path_qs, "at": time.time()})
        fault = self.world.fault("key")
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            return as_told(fault)
        return success({"publicKey": self.world.signer.public_pem}, message="")

    # ------------------------------------------------------------ files

    async def media(self, request: web.Request) -> web.StreamResponse:
        """A file by its presigned URL: GET only, ranges, If-Match and If-Range, as R2 serves it."""
        world, recording = self.world, self.world.recordings.get(request.match_info["id"])
        told = request.headers.get("Range", "")
        world.requests.append({"operation": "media", "path": request.path, "range": told, "at": time.time()})
        query = request.query
        held = self._of_file(recording, "hold") if recording is not None else None
        if held is not None:
            await world.held(held)
        if recording is None or recording.media is None or not query.get("until", "").isdecimal():
            return _xml(403, "AccessDenied")
        until = int(query["until"])
        expired = until <= max(time.time(), recording.run_out)
        expired = expired or (recording.url_until is not None and recording.url_until <= now())
        fits = hmac.compare_digest(query.get("signature", ""), self._signature(recording, until))
        if expired or not fits:
            return _xml(403, "ExpiredRequest" if fits else "SignatureDoesNotMatch")
        fault = self._of_file(recording, "answer", "delay", "drop")
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            if fault.kind == "drop":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if fault.kind == "answer":
                return _xml(fault.status, "InternalError")
        answer = recording.lies.answer(told) or Answer()
        if not answer.is_file:
            headers = answer.changed({"Content-Type": "application/octet-stream"})
            return web.Response(status=answer.status or 200, body=answer.content, headers=headers)
        return await self._serve(request, recording, answer)

    async def _etag(self, recording: Recording, media: Media) -> str:
        """The file's ETag, as the settings have it; empty: there is none."""
        settings = self.world.settings
        if settings.etag == "none":
            return ""
        if settings.etag == "opaque":
            return f'"{recording.id.replace("-", "")}{recording.generation + recording.rewritten}"'
        part = settings.part_mib * 1024 * 1024 if settings.etag == "parts" else None
        told = await asyncio.get_running_loop().run_in_executor(self.world.threads, media.etag, part)
        return f'"{told}"'

    def _of_file(self, recording: Recording, *kinds: str, served: range | None = None) -> Fault | None:
        """The fault of one of these kinds that strikes this reading of a file."""
        return self.world.fault(
            "media",
            recording_id=recording.id,
            meeting_id=recording.meeting_id,
            kinds=frozenset(kinds),
            served=served,
        )

    async def _serve(self, request: web.Request, recording: Recording, lie: Answer) -> web.StreamResponse:
        media, world = recording.media, self.world
        assert media is not None
        if lie.first_bytes is not None:
            media = media.first(lie.first_bytes)
        etag, modified = await self._etag(recording, media), _modified(recording)
        headers = {"Content-Type": recording.content_type, "Last-Modified": modified} | (
            {"ETag": f"W/{etag}" if lie.weak_etag else etag} if etag else {}
        )
        wanted, since = request.headers.get("If-Match"), request.headers.get("If-Unmodified-Since")
        if wanted not in (None, "*", etag) or (wanted is None and since not in (None, modified)):
            return _xml(412, "PreconditionFailed")
        first, last, status = 0, media.size - 1, 200
        given = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if given and world.settings.ranges and request.headers.get("If-Range", etag) == etag:
            first = int(given[1])
            if first >= media.size:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{media.size}"})
            last = min(int(given[2]), last) if given[2] else last
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{media.size if lie.total_known else '*'}"
        if world.settings.ranges:
            headers["Accept-Ranges"] = "bytes"
        headers["Content-Length"] = str(last - first + 1)
        answer = web.StreamResponse(status=status, headers=lie.changed(headers))
        await answer.prepare(request)
        cut = self._of_file(recording, "cut")
        slow = self._of_file(recording, "slow")
        flip = self._of_file(recording, "flip", served=range(first, last + 1))
        allowed = world.random.expovariate(1 / cut.every_bytes) if cut else None
        at = first
        for block in media.read(first, last):
            sent = block
            if flip is not None and at <= flip.at < at + len(block):
                place = flip.at - at
                sent = block[:place] + bytes([block[place] ^ 1]) + block[place + 1 :]
            if allowed is not None and at + len(block) - first > allowed:
                await answer.write(sent[: max(0, int(allowed) - (at - first))])
                assert request.transport is not None
                request.transport.abort()
                return answer
            await answer.write(sent)
            at += len(block)
            if slow is not None:
                await asyncio.sleep(len(block) / slow.bytes_per_second)
        await answer.write_eof()
        return answer


def _modified(recording: Recording) -> str:
    """When the file was stored; another file under the same name came an hour later each."""
    hours = timedelta(hours=recording.generation + recording.rewritten)
    return format_datetime(datetime(2026, 9, 1, 10, tzinfo=UTC) + hours, usegmt=True)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        found = await request.json()
    except json.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}


def _xml(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")
