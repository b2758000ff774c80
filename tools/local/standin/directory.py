"""Resources of an app, not of a meeting: the apps themselves, presets, webhooks, analytics.

Source: developers.cloudflare.com/api/resources/realtime_kit (apps, presets, webhooks, analytics).
"""

import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tools.local.standin.envelopes import Json, Refused, body_of, checked, choice, paged, success
from tools.local.standin.presets import preset
from tools.local.standin.sessions import Sessions
from tools.local.standin.state import instant, now
from tools.local.standin.world import World

EVENTS = frozenset(
    {
        "meeting.started",
        "meeting.ended",
        "meeting.participantJoined",
        "meeting.participantLeft",
        "meeting.chatSynced",
        "recording.statusUpdate",
        "livestreaming.statusUpdate",
        "meeting.transcript",
        "meeting.summary",
    }
)
WEBHOOK: dict[str, type | tuple[type, ...]] = {"name": str, "url": str, "events": list, "enabled": bool}
PRESET: dict[str, type | tuple[type, ...]] = {"name": str, "config": dict, "permissions": dict, "ui": dict}


class Apps:
    """The account's apps. All of them share the meetings and recordings of the stand-in."""

    def __init__(self, world: World) -> None:
        self.world = world

    def use(self, app_id: str) -> None:
        """Create the app if it does not exist."""
        self.world.apps.setdefault(app_id, {"id": app_id, "name": app_id, "created_at": instant(now())})

    async def list(self, request: web.Request) -> web.Response:
        oldest_first = choice(request.query, "sort_order", "ASC", "DESC") == "ASC"
        rows = [one for one in self.world.apps.values() if request.query.get("search", "") in one["name"]]
        rows.sort(key=lambda one: one["created_at"], reverse=not oldest_first)
        shown, paging = paged(request.query, self.world.settings, rows)
        return success(shown, paging=paging)

    async def create(self, request: web.Request) -> web.Response:
        asked = checked(await body_of(request), {"name": str}, "name")
        app = {"id": str(uuid.uuid4()), "name": asked["name"], "created_at": instant(now())}
        self.world.apps[app["id"]] = app
        return success({"app": app}, status=201)


class Presets:
    """The handlers of presets: what participants may do."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def list(self, request: web.Request) -> web.Response:
        rows = [one for one in self.world.presets.values() if request.query.get("search", "") in one["name"]]
        shown, paging = paged(request.query, self.world.settings, rows)
        names = ("id", "name", "created_at", "updated_at")
        return success([{name: one[name] for name in names} for one in shown], paging=paging)

    async def create(self, request: web.Request) -> web.Response:
        asked = checked(await body_of(request), PRESET, *PRESET)
        made = _over(preset(asked["name"], now()), asked)
        self.world.presets[made["id"]] = made
        return success(made, status=201)

    async def get(self, request: web.Request) -> web.Response:
        return success(self._found(request))

    async def update(self, request: web.Request) -> web.Response:
        return self._changed(self._found(request), checked(await body_of(request), PRESET))

    async def replace(self, request: web.Request) -> web.Response:
        """Replace a preset. Omitted fields take the values of a new one."""
        known, asked = self._found(request), checked(await body_of(request), PRESET, *PRESET)
        fresh = preset(asked["name"], now()) | {name: known[name] for name in ("id", "created_at")}
        return self._changed(fresh, asked)

    async def remove(self, request: web.Request) -> web.Response:
        return success(self.world.presets.pop(self._found(request)["id"]))

    def _changed(self, known: Json, asked: Json) -> web.Response:
        changed = _over(known, asked) | {"updated_at": instant(now())}
        self.world.presets[changed["id"]] = changed
        return success(changed)

    def _found(self, request: web.Request) -> Json:
        found = self.world.presets.get(request.match_info["preset"])
        if found is None:
            raise Refused(404, "Preset not found")
        return found


class Webhooks:
    """The handlers of registered webhooks. `tools.local.standin.webhooks` sends them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def listed_at(self, place: str) -> Callable[[web.Request], Any]:
        """List the webhooks, at one of two paths: the reference and the guide differ."""

        async def listing(request: web.Request) -> web.Response:
            if self.world.settings.webhooks_listed_at != place:
                raise Refused(404, "Webhook not found")
            return success([*self.world.webhooks.values()])

        return listing

    async def create(self, request: web.Request) -> web.Response:
        asked = self._asked(await body_of(request), "name", "url", "events")
        at = instant(now())
        hook = {"id": str(uuid.uuid4()), "enabled": True, **asked, "created_at": at, "updated_at": at}
        self.world.webhooks[hook["id"]] = hook
        return success(hook, status=201)

    async def get(self, request: web.Request) -> web.Response:
        return success(self._found(request))

    async def update(self, request: web.Request) -> web.Response:
        return self._changed(self._found(request), self._asked(await body_of(request)))

    async def replace(self, request: web.Request) -> web.Response:
        known = self._found(request)
        return self._changed(known, {"enabled": True} | self._asked(await body_of(request), "name", "url", "events"))

    async def remove(self, request: web.Request) -> web.Response:
        return success(self.world.webhooks.pop(self._found(request)["id"]))

    def _asked(self, body: Json, *required: str) -> Json:
        asked = checked(body, WEBHOOK, *required)
        if not all(isinstance(one, str) and one in EVENTS for one in asked.get("events", [])):
            raise Refused(422, f"events must be among {', '.join(sorted(EVENTS))}")
        if not asked.get("url", "http://").startswith(("http://", "https://")):
            raise Refused(422, "url must be a URL")
        return asked

    def _changed(self, hook: Json, asked: Json) -> web.Response:
        hook |= asked | {"updated_at": instant(now())}
        return success(hook)

    def _found(self, request: web.Request) -> Json:
        hook = self.world.webhooks.get(request.match_info["webhook"])
        if hook is None:
            raise Refused(404, "Webhook not found")
        return hook


class Analytics:
    """The handlers of analytics: sessions and recordings by day in UTC."""

    def __init__(self, world: World, sessions: Sessions) -> None:
        self.world, self.sessions = world, sessions

    async def daywise(self, request: web.Request) -> web.Response:
        recordings: dict[str, list[float]] = defaultdict(list)
        meetings: dict[str, list[float]] = defaultdict(list)
        for recording in self.world.recordings.values():
            if recording.started_at is not None:
                recordings[_day(recording.started_at)].append(recording.recorded_seconds / 60)
                self.sessions.find(recording.session_id)
        for session in self.world.sessions.values():
            meetings[_day(session.started_at)].append(self.sessions.view(session)["minutes_consumed"])
        first, last = _date(request, "start_date") or "", _date(request, "end_date") or "~"
        for days in (recordings, meetings):
            for day in [one for one in days if not first <= one <= last]:
                del days[day]
        return success(
            {
                "recording_stats": {
                    "recording_count": sum(map(len, recordings.values())),
                    "recording_minutes_consumed": round(sum(map(sum, recordings.values())), 2),
                    "day_stats": [
                        {"day": day, "total_recordings": len(some), "total_recording_minutes": round(sum(some))}
                        for day, some in sorted(recordings.items())
                    ],
                },
                "session_stats": {
                    "sessions_count": sum(map(len, meetings.values())),
                    "sessions_minutes_consumed": round(sum(map(sum, meetings.values())), 2),
                    "day_stats": [
                        {"day": day, "total_sessions": len(some), "total_session_minutes": round(sum(some), 2)}
                        for day, some in sorted(meetings.items())
                    ],
                },
            }
        )


def _date(request: web.Request, name: str) -> str | None:
    found = request.query.get(name)
    try:
        return None if found is None else datetime.strptime(found, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise Refused(422, f"{name} must be a date such as 2026-01-06") from None


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _over(known: Json, asked: Json) -> Json:
    """Merge fields into known ones, at every depth."""
    changed = {**known}
    for name, value in asked.items():
        both = isinstance(value, dict) and isinstance(known.get(name), dict)
        changed[name] = _over(known[name], value) if both else value
    return changed
