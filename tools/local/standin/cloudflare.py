"""RealtimeKit's REST API and the key of its webhooks (sources: docs/stand-in.md)."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from tools.local.standin.directory import Analytics, Apps, Presets, Webhooks
from tools.local.standin.envelopes import Refused, as_told, body_of, failure, no_route, refusal, success
from tools.local.standin.files import Files
from tools.local.standin.meetings import Meetings
from tools.local.standin.recordings import Recordings
from tools.local.standin.sessions import Sessions
from tools.local.standin.state import Fault
from tools.local.standin.world import World

TOKEN = "local-cloudflare-token"
ACCOUNT = "/client/v4/accounts/{account}/realtime/kit"
BASE = f"{ACCOUNT}/{{app}}"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Method, path, the operation that faults name, handler. The first path that matches is used.
type Route = tuple[str, str, str, Handler]


class Api:
    """Routes to the handlers. Before each handler it checks the token, the rate limit and the faults."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.files, self.meetings, self.sessions = Files(world), Meetings(world), Sessions(world)
        self.recordings = Recordings(world, self.files, self.meetings, self.sessions)
        self.apps = Apps(world)

    def routes(self) -> list[web.RouteDef]:
        listed = [*self._apps(), *self._recordings(), *self._meetings(), *self._sessions(), *self._directory()]
        return [
            *(web.route(method, path, self._guarded(operation, handle)) for method, path, operation, handle in listed),
            web.get("/.well-known/webhooks.json", self.webhook_key),
            *self.files.routes(),
            # An endpoint of Cloudflare that the stand-in does not have is a 404 as well.
            web.route("*", "/client/v4/{rest:.*}", self._guarded("unknown", self._unknown)),
        ]

    def _apps(self) -> list[Route]:
        at, apps = f"{ACCOUNT}/apps", self.apps
        return [("GET", at, "apps", apps.list), ("POST", at, "apps", apps.create)]

    def _recordings(self) -> list[Route]:
        at, recordings = f"{BASE}/recordings", self.recordings
        return [
            ("POST", at, "start", recordings.start),
            ("GET", at, "list", recordings.list),
            ("POST", f"{at}/track", "track", recordings.start_tracks),
            ("GET", f"{at}/active-recording/{{meeting}}", "active", recordings.active),
            ("GET", f"{at}/{{id}}", "get", recordings.get),
            ("PUT", f"{at}/{{id}}", "stop", recordings.command),
        ]

    def _meetings(self) -> list[Route]:
        meetings = self.meetings
        at, one = f"{BASE}/meetings", f"{BASE}/meetings/{{meeting}}"
        people, person = f"{one}/participants", f"{one}/participants/{{participant}}"
        return [
            ("POST", at, "create_meeting", meetings.create),
            ("GET", at, "meetings", meetings.list),
            ("GET", one, "get_meeting", meetings.get),
            ("PATCH", one, "set_meeting", meetings.update),
            ("PUT", one, "set_meeting", meetings.replace),
            ("POST", people, "participants", meetings.add_participant),
            ("GET", people, "participants", meetings.list_participants),
            ("GET", person, "participants", meetings.get_participant),
            ("PATCH", person, "participants", meetings.change_participant),
            ("DELETE", person, "participants", meetings.remove_participant),
            ("POST", f"{person}/token", "participants", meetings.refresh_token),
        ]

    def _sessions(self) -> list[Route]:
        sessions = self.sessions
        one, active = f"{BASE}/sessions/{{session}}", f"{BASE}/meetings/{{meeting}}/active-session"
        return [
            ("GET", f"{BASE}/sessions", "sessions", sessions.list),
            ("GET", one, "session", sessions.get),
            ("GET", f"{one}/participants", "sessions", sessions.participants),
            ("GET", f"{one}/participants/{{participant}}", "sessions", sessions.participant),
            ("GET", active, "active_session", sessions.active),
            ("POST", f"{active}/kick", "active_session", sessions.kick),
            ("POST", f"{active}/kick-all", "active_session", sessions.kick_all),
        ]

    def _directory(self) -> list[Route]:
        presets, hooks = Presets(self.world), Webhooks(self.world)
        preset, hook = f"{BASE}/presets/{{preset}}", f"{BASE}/webhooks/{{webhook}}"
        return [
            ("GET", f"{BASE}/presets", "presets", presets.list),
            ("POST", f"{BASE}/presets", "presets", presets.create),
            ("GET", preset, "presets", presets.get),
            ("PATCH", preset, "presets", presets.update),
            ("PUT", preset, "presets", presets.replace),
            ("DELETE", preset, "presets", presets.remove),
            ("GET", f"{BASE}/webhooks", "webhooks", hooks.listed_at("webhooks")),
            ("GET", f"{BASE}/webhooks/all", "webhooks", hooks.listed_at("all")),
            ("POST", f"{BASE}/webhooks", "webhooks", hooks.create),
            ("GET", hook, "webhooks", hooks.get),
            ("PATCH", hook, "webhooks", hooks.update),
            ("PUT", hook, "webhooks", hooks.replace),
            ("DELETE", hook, "webhooks", hooks.remove),
            ("GET", f"{BASE}/analytics/daywise", "analytics", Analytics(self.world, self.sessions).daywise),
        ]

    def _guarded(self, operation: str, handle: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self.world.requests.append({"operation": operation, "path": request.path_qs, "at": time.time()})
            limited = self._limited()
            if limited is not None:
                return limited
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return refusal(401, {10000: "Authentication error"})
            if "app" in request.match_info:
                self.apps.use(request.match_info["app"])
            fault = self.world.fault(operation, meeting_id=await self._meeting_of(request))
            return await _carried_out(handle, request) if fault is None else await self._struck(fault, handle, request)

        return guarded

    async def _struck(self, fault: Fault, handle: Handler, request: web.Request) -> web.StreamResponse:
        """Respond to a call with a fault."""
        if fault.effect:
            await _carried_out(handle, request)
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault.kind == "hold":
            await self.world.held(fault)
        if fault.kind in ("delay", "hold"):
            return await _carried_out(handle, request)
        if fault.kind == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return as_told(fault)

    async def _unknown(self, request: web.Request) -> web.Response:
        return no_route(request)

    async def _meeting_of(self, request: web.Request) -> str | None:
        """Return the meeting of a call, or None if it has none or no fault needs it."""
        named, world = request.match_info, self.world
        if all(fault.meeting_id is None for fault in world.faults):
            return None
        if "meeting" in named:
            return named["meeting"]
        wanted = named.get("id", named.get("session"))
        if wanted is not None:
            its = (one for one in world.recordings.values() if wanted in (one.id, one.session_id))
            return next((one.meeting_id for one in its), wanted)
        if "meeting_id" in request.query:
            return request.query["meeting_id"]
        asked = (await body_of(request)).get("meeting_id") if request.can_read_body else None
        return asked if isinstance(asked, str) else None

    def _limited(self) -> web.Response | None:
        """Apply Cloudflare's limit, above which every call is blocked (fundamentals/api/reference/limits)."""
        world, at = self.world, time.monotonic()
        settings = world.settings
        if at < world.blocked_until:
            after = {"Retry-After": str(int(world.blocked_until - at) + 1)}
            return refusal(429, {971: "Please wait and consider throttling your request speed"}, after)
        if settings.limit_calls is None:
            return None
        world.calls = [called for called in world.calls if called > at - settings.limit_seconds]
        if len(world.calls) >= settings.limit_calls:
            world.blocked_until = at + settings.block_seconds
            after = {"Retry-After": str(int(settings.block_seconds) or 1)}
            limit = f"more than {settings.limit_calls} requests per {settings.limit_seconds:.0f} seconds reached"
            return refusal(429, {971: limit}, after)
        world.calls.append(at)
        return None

    async def webhook_key(self, request: web.Request) -> web.StreamResponse:
        self.world.requests.append({"operation": "key", "path": request.path_qs, "at": time.time()})
        fault = self.world.fault("key")
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            return as_told(fault)
        return success({"publicKey": self.world.signer.public_pem}, message="")


async def _carried_out(handle: Handler, request: web.Request) -> web.StreamResponse:
    try:
        return await handle(request)
    except Refused as refused:
        return failure(refused.status, refused.message)
