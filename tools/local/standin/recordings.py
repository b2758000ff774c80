"""RealtimeKit's recordings (developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings)."""

from collections.abc import Callable

from aiohttp import web

from tools.local.standin.envelopes import Json, Refused, between, body_of, checked, choice, success, truth, window
from tools.local.standin.files import Files
from tools.local.standin.meetings import Meetings, is_found
from tools.local.standin.sessions import Sessions
from tools.local.standin.state import ORGANIZATION, RUNNING, Recording, Row, Tracks, instant
from tools.local.standin.world import World

STATUSES = frozenset({"INVOKED", "RECORDING", "PAUSED", "UPLOADING", "UPLOADED", "ERRORED"})
# "Pass up to 100 values in `user_ids`" (recording-guide/track-recording).
MAX_USER_IDS = 100
# The form of a track recording's name in the guide. The reference shows a name only.
TRACK_NAME = "{{file_name_prefix}}_{{user_id}}_{{peer_id}}_{{stream_kind}}_{{media_kind}}_{{date_time}}.webm"


class Recordings:
    """The handlers of recordings, both of the whole meeting and of tracks."""

    def __init__(self, world: World, files: Files, meetings: Meetings, sessions: Sessions) -> None:
        self.world, self.files, self.meetings, self.sessions = world, files, meetings, sessions

    def view(self, recording: Recording, where: str) -> Json:
        """Return a recording for one endpoint: `start`, `get`, `list` or `active`. Null and missing keys differ."""
        media, world = recording.media, self.world
        stored = recording.status == "UPLOADED" or (recording.status == "ERRORED" and media is not None)
        shown: Json = {
            "id": recording.id,
            "status": recording.status,
            "invoked_time": instant(recording.invoked_at),
            "started_time": instant(recording.started_at),
            "stopped_time": instant(recording.stopped_at),
            "session_id": recording.session_id if recording.started_at else None,
            "output_file_name": recording.file_name,
            "file_size": media.size if stored and media else None,
            "download_url": (
                self.files.download_url(recording)
                if stored and media and recording.keeps_url and not recording.expired
                else None
            ),
            "audio_download_url": None,
            "download_url_expiry": instant(recording.url_until) if stored else None,
        }
        if where != "active" and recording.tracks is None:
            shown["storage_config"] = None
        if stored and recording.duration is not None:
            shown["recording_duration"] = recording.duration
        if recording.tracks is not None and world.settings.track_rows == "guide":
            shown |= {"type": "TRACK", "meeting_id": recording.meeting_id, "output_file_name": TRACK_NAME}
        if where == "list" and recording.meeting_id in world.meetings and world.settings.rows_name_their_meeting:
            shown["meeting"] = self.meetings.view(recording.meeting_id, listed=True)
        if where in ("start", "get") and recording.tracks is None:
            caller = {"name": "local", "type": "ORGANIZATION", "user_Id": ORGANIZATION}
            shown["start_reason"] = (
                {"reason": "RECORD_ON_START"} if recording.auto else {"reason": "API_CALL", "caller": caller}
            )
            if recording.stop_reason:
                shown["stop_reason"] = {"reason": recording.stop_reason}
        return recording.lies.row(shown, where)

    async def start(self, request: web.Request) -> web.Response:
        world, asked = self.world, await body_of(request)
        meeting_id, seconds = self._meeting(asked), asked.get("max_seconds", 86_400)
        if not isinstance(seconds, int) or not 60 <= seconds <= 86_400:
            raise Refused(422, "max_seconds must be between 60 and 86400")
        config = asked.get("storage_config")
        if config is not None:
            wanted = {"type", "access_key", "secret", "bucket"}
            if world.settings.own_bucket == "refuse" or not wanted <= config.keys():
                raise Refused(422, "storage_config is not valid")
        if world.active(meeting_id) is not None and not asked.get("allow_multiple_recordings"):
            raise Refused(world.settings.already_recording_status, "Recording already in progress")
        keeps = (asked.get("realtimekit_bucket_config") or {}).get("enabled", True)
        recording = world.begin(
            meeting_id, auto=False, max_seconds=seconds, storage_config=config, keeps_url=keeps,
            prefix=asked.get("file_name_prefix"), session_id=self.sessions.id_for(meeting_id),
        )  # fmt: skip
        world.run(recording)
        return success(self.view(recording, "start"), status=201)

    async def start_tracks(self, request: web.Request) -> web.Response:
        """Start a track recording. It needs a live session, and its files go to RealtimeKit's bucket only."""
        world, asked = self.world, await body_of(request)
        meeting_id = self._meeting(asked)
        checked(asked, {"layers": dict, "user_ids": list})
        layer = (asked.get("layers") or {}).get("default", {})
        if layer.get("media_kind", "audio") != "audio":
            raise Refused(422, "media_kind must be audio")
        users = asked.get("user_ids")
        if users is not None and len(users) > MAX_USER_IDS:
            raise Refused(422, f"user_ids must be {MAX_USER_IDS} at most")
        session = self.sessions.live(meeting_id)
        if session is None:
            raise Refused(404, "No active session found")
        recorded = [one for one in session.participants.values() if users is None or {one.id, one.custom_id} & {*users}]
        tracks = Tracks(layer.get("file_name_prefix", "default"), tuple(recorded))
        recording = world.begin(meeting_id, auto=False, session_id=session.id, tracks=tracks)
        recording.file_name = next(iter(tracks.file_names(recording.invoked_at)), TRACK_NAME)
        recording.content_type = "audio/webm"
        world.run(recording)
        return success({"recording": self.view(recording, "start")}, status=201)

    async def list(self, request: web.Request) -> web.Response:
        world, query = self.world, request.query
        choice(query, "sort_by", "invokedTime")
        newest_first = choice(query, "sort_order", "ASC", "DESC") != "ASC"
        rows: list[Recording | Row] = [one for one in world.oldest_first() if not one.hidden_from("list")]
        if world.rows:
            rows = sorted([*rows, *world.rows], key=lambda one: one.invoked_at)
        if "meeting_id" in query:
            rows = [one for one in rows if one.meeting_id == query["meeting_id"]]
        if "search" in query:
            named = (one for one in rows if one.meeting_id in world.meetings)
            rows = [one for one in named if is_found(world.meetings[one.meeting_id or ""], query["search"])]
        wanted = {status for text in query.getall("status", []) for status in text.split(",")}
        if not wanted <= STATUSES:
            raise Refused(422, f"status must be among {', '.join(sorted(STATUSES))}")
        if wanted:
            rows = [one for one in rows if isinstance(one, Recording) and one.status in wanted]
        expired = truth(query, "expired")
        if expired is not None:
            rows = [one for one in rows if isinstance(one, Recording) and one.expired is expired]
        if "start_time" in query or "end_time" in query:
            rows = between(query, rows, lambda one: one.invoked_at)
        page, paging = window(query, world.settings, len(rows))
        ends = (len(rows) - page.stop, len(rows) - page.start) if newest_first else (page.start, page.stop)
        shown = rows[slice(*ends)][:: -1 if newest_first else 1]
        listed = [self.view(one, "list") if isinstance(one, Recording) else one.content for one in shown]
        return success(listed, paging=paging)

    async def active(self, request: web.Request) -> web.Response:
        recording = self.world.active(request.match_info["meeting"], tracks=self.world.settings.tracks_are_active)
        if recording is None or recording.hidden_from("active"):
            raise Refused(404, "No active recording found")
        return success(self.view(recording, "active"))

    async def get(self, request: web.Request) -> web.Response:
        recording = self._found(request)
        if recording.hidden_from("get"):
            raise Refused(404, "Recording not found")
        return success(self.view(recording, "get"))

    async def command(self, request: web.Request) -> web.Response:
        """Stop, pause or resume a recording."""
        world, recording = self.world, self._found(request)
        commands: dict[str, tuple[frozenset[str], Callable[[], None]]] = {
            "stop": (RUNNING, lambda: world.end(recording, "API_CALL")),
            "pause": (frozenset({"RECORDING"}), lambda: world.pause(recording)),
            "resume": (frozenset({"PAUSED"}), lambda: world.resume(recording)),
        }
        action = (await body_of(request)).get("action")
        if action not in commands:
            raise Refused(422, f"action must be one of {', '.join(commands)}")
        allowed, carry_out = commands[action]
        if recording.status not in allowed:
            raise Refused(world.settings.not_running_status, f"Recording is {recording.status}")
        carry_out()
        return success(self.view(recording, "get"))

    def _found(self, request: web.Request) -> Recording:
        recording = self.world.recordings.get(request.match_info["id"])
        if recording is None:
            raise Refused(404, "Recording not found")
        return recording

    def _meeting(self, asked: Json) -> str:
        """Return the meeting to record."""
        meeting_id = asked.get("meeting_id")
        if not isinstance(meeting_id, str):
            raise Refused(422, "meeting_id is required")
        if meeting_id not in self.world.meetings:
            raise Refused(404, "Meeting not found")
        return meeting_id
