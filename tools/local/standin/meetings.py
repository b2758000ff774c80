"""RealtimeKit's meetings and their participants (developers.cloudflare.com/api/resources/realtime_kit/meetings)."""

import uuid
from typing import Any

from aiohttp import web

from tools.local.standin.envelopes import Json, Refused, between, body_of, checked, choice, paged, success
from tools.local.standin.state import Meeting, Participant, instant, now
from tools.local.standin.world import World

# The settings of a meeting, besides its title, with their defaults.
OPTIONS: dict[str, tuple[type | tuple[type, ...], Any]] = {
    "live_stream_on_start": (bool, False),
    "persist_chat": (bool, False),
    "summarize_on_end": (bool, False),
    "transcribe_on_end": (bool, False),
    "session_keep_alive_time_in_secs": ((int, float), 60),
    "ai_config": (dict, None),
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "title": (str, type(None)),
    "record_on_start": bool,
    "recording_config": dict,
    "status": str,
    **{name: wanted for name, (wanted, _) in OPTIONS.items()},
}
# "This field is not readable by clients, only writeable" (API reference, storage_config).
WRITE_ONLY = frozenset({"access_key", "secret", "password", "private_key"})


class Meetings:
    """The handlers of meetings and their participants."""

    def __init__(self, world: World) -> None:
        self.world = world

    def view(self, meeting_id: str, *, listed: bool = False) -> Json:
        """Return a meeting as RealtimeKit does. A listing has no `ai_config`."""
        meeting = self.world.meetings[meeting_id]
        shown = {
            "id": meeting.id,
            "title": meeting.title,
            "record_on_start": meeting.record_on_start,
            **{name: meeting.options.get(name, default) for name, (_, default) in OPTIONS.items()},
            "status": meeting.status,
            "created_at": instant(meeting.created_at),
            "updated_at": instant(meeting.updated_at or meeting.created_at),
        }
        if meeting.recording_config is not None:
            shown["recording_config"] = _readable(meeting.recording_config)
        if listed or shown["ai_config"] is None:
            del shown["ai_config"]
        return shown

    async def create(self, request: web.Request) -> web.Response:
        asked = _settings(await body_of(request))
        meeting = self.world.add_meeting(
            asked.get("title"),
            record_on_start=asked.get("record_on_start", False),
            config=asked.get("recording_config"),
        )
        self._set(meeting, asked)
        meeting.updated_at = meeting.created_at
        return success(self.view(meeting.id), status=201)

    async def list(self, request: web.Request) -> web.Response:
        query, rows = request.query, [*self.world.meetings.values()][::-1]
        status, search = choice(query, "status", "ACTIVE", "INACTIVE"), query.get("search")
        rows = [one for one in rows if status in (None, one.status)]
        if search is not None:
            rows = [one for one in rows if is_found(one, search)]
        shown, paging = paged(query, self.world.settings, between(query, rows, lambda one: one.created_at))
        return success([self.view(one.id, listed=True) for one in shown], paging=paging)

    async def get(self, request: web.Request) -> web.Response:
        return success(self.view(self._found(request).id))

    async def update(self, request: web.Request) -> web.Response:
        meeting = self._found(request)
        self._set(meeting, _settings(await body_of(request)))
        return success(self.view(meeting.id))

    async def replace(self, request: web.Request) -> web.Response:
        """Replace a meeting. Omitted fields take the values of a new one."""
        meeting, asked = self._found(request), _settings(await body_of(request))
        blank = {"title": None, "record_on_start": False, "recording_config": None, "status": "ACTIVE"}
        meeting.options.clear()
        self._set(meeting, blank | asked)
        return success(self.view(meeting.id))

    def _set(self, meeting: Meeting, asked: Json) -> None:
        for name in ("title", "record_on_start", "recording_config", "status"):
            if name in asked:
                setattr(meeting, name, asked[name])
        meeting.options |= {name: asked[name] for name in OPTIONS if name in asked}
        meeting.updated_at = now()

    def _found(self, request: web.Request) -> Meeting:
        meeting = self.world.meetings.get(request.match_info["meeting"])
        if meeting is None:
            raise Refused(404, "Meeting not found")
        return meeting

    # ------------------------------------------------------------ participants

    async def add_participant(self, request: web.Request) -> web.Response:
        meeting, body = self._found(request), await body_of(request)
        checked(body, {"custom_participant_id": str}, "custom_participant_id", "preset_name")
        participant = Participant(custom_id=body["custom_participant_id"], preset="")
        self._change(participant, body)
        participant.updated_at = participant.created_at
        meeting.participants[participant.id] = participant
        return success({**participant_view(participant), "token": _token()}, status=201)

    async def list_participants(self, request: web.Request) -> web.Response:
        rows = [*self._found(request).participants.values()]
        shown, paging = paged(request.query, self.world.settings, rows)
        return success([participant_view(one) for one in shown], paging=paging)

    async def get_participant(self, request: web.Request) -> web.Response:
        return success(participant_view(self._participant(request)))

    async def change_participant(self, request: web.Request) -> web.Response:
        participant = self._participant(request)
        self._change(participant, await body_of(request))
        return success({**participant_view(participant), "token": _token()})

    async def remove_participant(self, request: web.Request) -> web.Response:
        participant = self._participant(request)
        del self._found(request).participants[participant.id]
        preset = self._preset(participant.preset)
        gone = {name: participant_view(participant)[name] for name in ("custom_participant_id", "created_at")}
        return success({**gone, "preset_id": preset["id"], "updated_at": instant(now())})

    async def refresh_token(self, request: web.Request) -> web.Response:
        self._participant(request)
        return success({"token": _token()})

    def _change(self, participant: Participant, body: Json) -> None:
        asked = checked(body, {name: (str, type(None)) for name in ("name", "picture", "preset_name")})
        if asked.get("preset_name") is not None:
            participant.preset = self._preset(asked["preset_name"])["name"]
        participant.name = asked.get("name", participant.name)
        participant.picture = asked.get("picture", participant.picture)
        participant.updated_at = now()

    def _preset(self, name: str) -> Json:
        preset = next((one for one in self.world.presets.values() if one["name"] == name), None)
        if preset is None:
            raise Refused(404, "Preset not found")
        return preset

    def _participant(self, request: web.Request) -> Participant:
        participant = self._found(request).participants.get(request.match_info["participant"])
        if participant is None:
            raise Refused(404, "Participant not found")
        return participant


def is_found(meeting: Meeting, search: str) -> bool:
    """Whether a search matches the meeting's id or a part of its title."""
    return search == meeting.id or search.casefold() in (meeting.title or "").casefold()


def participant_view(participant: Participant) -> Json:
    """Return a participant as RealtimeKit does. Only a response to a change has a token as well."""
    return {
        "id": participant.id,
        "name": participant.name,
        "picture": participant.picture,
        "custom_participant_id": participant.custom_id,
        "preset_name": participant.preset,
        "created_at": instant(participant.created_at),
        "updated_at": instant(participant.updated_at),
    }


def _settings(body: Json) -> Json:
    asked = checked(body, TYPES)
    if asked.get("status", "ACTIVE") not in ("ACTIVE", "INACTIVE"):
        raise Refused(422, "status must be ACTIVE or INACTIVE")
    if not 60 <= asked.get("session_keep_alive_time_in_secs", 60) <= 600:
        raise Refused(422, "session_keep_alive_time_in_secs must be between 60 and 600")
    return asked


def _readable(config: Json) -> Json:
    """Return a recording_config without its write-only fields."""
    storage = config.get("storage_config")
    if not isinstance(storage, dict):
        return config
    return config | {"storage_config": {name: storage[name] for name in storage.keys() - WRITE_ONLY}}


def _token() -> str:
    """Return a token for a meeting's front end. Nothing here accepts it."""
    return uuid.uuid4().hex
