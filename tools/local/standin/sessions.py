"""RealtimeKit's sessions: when participants were in a meeting, and which ones.

Nobody really joins here. A session begins by the control API, or is known by the recordings of it alone.
Source: developers.cloudflare.com/api/resources/realtime_kit/subresources/sessions and …/active_session.
"""

import uuid
from datetime import datetime, timedelta
from functools import partial

from aiohttp import web

from tools.local.standin.envelopes import Json, Refused, between, body_of, checked, choice, paged, success, truth
from tools.local.standin.state import ORGANIZATION, RUNNING, Participant, Recording, Session, instant, now
from tools.local.standin.world import World


class Sessions:
    """The sessions, and the handlers that read and end them."""

    def __init__(self, world: World) -> None:
        self.world = world

    # ------------------------------------------------------------ state

    def join(self, meeting_id: str) -> Session:
        """Let all participants join, and return the live session, which starts now unless there is one."""
        session = self.live(meeting_id)
        if session is None:
            session = Session(meeting_id, now())
            self.world.sessions[session.id] = session
        self._invite(session)
        return session

    def live(self, meeting_id: str) -> Session | None:
        """Return the live session of a meeting."""
        sessions = [one for one in self.world.sessions.values() if one.meeting_id == meeting_id]
        recording = self.world.active(meeting_id, tracks=True)
        if recording is not None and (recorded := self.find(recording.session_id)) is not None:
            sessions.append(recorded)
        return next((one for one in sessions if self.ended_at(one) is None), None)

    def id_for(self, meeting_id: str) -> str:
        """Return the session for a recording that starts now."""
        live = self.live(meeting_id)
        return str(uuid.uuid4()) if live is None else live.id

    def find(self, session_id: str) -> Session | None:
        """Return a session by its id. One that only recordings name is stored now."""
        if session_id not in self.world.sessions:
            recordings = self._recordings(session_id)
            if not recordings:
                return None
            began = min(one.started_at or one.invoked_at for one in recordings)
            session = Session(recordings[0].meeting_id, began, id=session_id, derived=True)
            self.world.sessions[session_id] = session
            self._invite(session)
        return self.world.sessions[session_id]

    def ended_at(self, session: Session) -> datetime | None:
        """Return when the last participant left. A session that only recordings name ends with the last of them."""
        recordings = self._recordings(session.id)
        known = [one.session_ended_at for one in recordings if one.session_ended_at is not None]
        if session.ended_at is not None or known:
            return session.ended_at or max(known)
        if not session.derived or any(one.status in RUNNING for one in recordings):
            return None
        return max(one.stopped_at or one.invoked_at for one in recordings)

    def leave(self, session: Session, *participant_ids: str) -> None:
        """Let these participants leave. After the last one the session ends, and some time later its recordings."""
        session.left |= {one: now() for one in participant_ids if one not in session.left}
        if session.left.keys() < session.participants.keys():
            return
        session.ended_at = now()
        for recording in self._recordings(session.id):
            if recording.status in RUNNING:
                recording.session_ended_at = session.ended_at
                # "Track recording also stops when the meeting session ends" (recording-guide/track-recording).
                wait = 0 if recording.tracks else self.world.settings.empty_seconds
                self.world.later(recording, wait, partial(self.world.end, recording, "ALL_PEERS_LEFT"))

    def _recordings(self, session_id: str) -> list[Recording]:
        return [one for one in self.world.recordings.values() if one.session_id == session_id]

    def _invite(self, session: Session) -> None:
        meeting = self.world.meetings.get(session.meeting_id)
        if meeting is not None:
            session.participants |= meeting.participants
        if not session.participants:
            guest = Participant(custom_id="guest", preset="group_call_participant", name="Guest")
            session.participants[guest.id] = guest

    # ------------------------------------------------------------ handlers

    def view(self, session: Session) -> Json:
        """Return a session as RealtimeKit does."""
        ended, meeting = self.ended_at(session), self.world.meetings.get(session.meeting_id)
        stay = sum(
            ((self._left_at(session, one) or now()) - session.started_at for one in session.participants), timedelta()
        )
        present = 0 if ended else len(session.participants) - len(session.left)
        shown = {
            "id": session.id,
            "associated_id": session.meeting_id,
            "meeting_display_name": (meeting.title if meeting else None) or "",
            "organization_id": ORGANIZATION,
            "type": "meeting",
            "status": "ENDED" if ended else "LIVE",
            "live_participants": present,
            "max_concurrent_participants": len(session.participants),
            "minutes_consumed": round(stay.total_seconds() / 60, 2),
            "created_at": instant(session.started_at),
            "started_at": instant(session.started_at),
            "updated_at": instant(ended or session.started_at),
        }
        return shown | {"ended_at": instant(ended)} if ended else shown

    async def list(self, request: web.Request) -> web.Response:
        query = request.query
        for recording in [*self.world.recordings.values()]:
            if recording.started_at is not None:
                self.find(recording.session_id)
        status = choice(query, "status", "LIVE", "ENDED")
        sort = choice(query, "sort_by", "minutesConsumed", "createdAt")
        newest_first = choice(query, "sort_order", "ASC", "DESC") != "ASC"
        sessions = between(query, self.world.sessions.values(), lambda one: one.started_at)
        shown = [(one, self.view(one)) for one in sessions]
        shown = [
            (one, view)
            for one, view in shown
            if query.get("associated_id") in (None, one.meeting_id)
            and status in (None, view["status"])
            and (query.get("search", "") in (one.meeting_id, "") or query["search"] in view["meeting_display_name"])
            and ("participants" not in query or query["participants"] in _ids(one))
        ]
        key = "minutes_consumed" if sort == "minutesConsumed" else "created_at"
        shown.sort(key=lambda pair: pair[1][key], reverse=newest_first)
        page, paging = paged(query, self.world.settings, shown)
        return success({"sessions": [view for _, view in page]}, paging=paging)

    async def get(self, request: web.Request) -> web.Response:
        shown = self.view(self._found(request))
        if truth(request.query, "include_breakout_rooms"):
            shown["breakout_rooms"] = []
        return success(shown)

    async def participants(self, request: web.Request) -> web.Response:
        session, query = self._found(request), request.query
        choice(query, "view", "raw", "consolidated")
        sort = choice(query, "sort_by", "joinedAt", "duration")
        search = query.get("search", "").casefold()
        named = [one for one in session.participants.values() if search in (one.name or "").casefold()]
        shown = [self._participant(session, one, request) for one in named]
        key = "duration" if sort == "duration" else "joined_at"
        shown.sort(key=lambda one: one[key], reverse=choice(query, "sort_order", "ASC", "DESC") == "DESC")
        # The reference has no paging here.
        return success({"participants": paged(query, self.world.settings, shown)[0]})

    async def participant(self, request: web.Request) -> web.Response:
        session = self._found(request)
        participant = session.participants.get(request.match_info["participant"])
        if participant is None:
            raise Refused(404, "Participant not found")
        return success({"participant": self._participant(session, participant, request)})

    async def active(self, request: web.Request) -> web.Response:
        return success(self.view(self._live(request)))

    async def kick(self, request: web.Request) -> web.Response:
        session, body = self._live(request), await body_of(request)
        checked(body, {"participant_ids": list, "custom_participant_ids": list})
        wanted = {*body.get("participant_ids", []), *body.get("custom_participant_ids", [])}
        if not wanted:
            raise Refused(422, "participant_ids or custom_participant_ids is required")
        out = [
            one
            for one in session.participants.values()
            if one.id not in session.left and not wanted.isdisjoint((one.id, one.custom_id))
        ]
        if not out:
            raise Refused(404, "Participant not found")
        self.leave(session, *(one.id for one in out))
        names = [
            {
                "id": one.id,
                "name": one.name,
                "picture": one.picture,
                "created_at": instant(one.created_at),
                "updated_at": instant(one.updated_at),
            }
            for one in out
        ]
        return success({"action": "kick", "participants": names})

    async def kick_all(self, request: web.Request) -> web.Response:
        session = self._live(request)
        number = len(session.participants) - len(session.left)
        self.leave(session, *session.participants)
        return success({"action": "kick-all", "kicked_participants_count": number})

    def _left_at(self, session: Session, participant_id: str) -> datetime | None:
        return session.left.get(participant_id) or self.ended_at(session)

    def _participant(self, session: Session, participant: Participant, request: web.Request) -> Json:
        left = self._left_at(session, participant.id)
        shown: Json = {
            "id": participant.id,
            "user_id": participant.id,
            "custom_participant_id": participant.custom_id,
            "display_name": participant.name,
            "preset_name": participant.preset,
            "joined_at": instant(session.started_at),
            "left_at": instant(left),
            "duration": round(((left or now()) - session.started_at).total_seconds() / 60, 2),
            "created_at": instant(participant.created_at),
            "updated_at": instant(left or participant.updated_at),
        }
        if truth(request.query, "include_peer_events"):
            times = {"PEER_CREATED": session.started_at, "PEER_JOINING": session.started_at, "PEER_LEAVING": left}
            shown["peer_events"] = [
                {
                    "id": str(uuid.uuid5(uuid.UUID(participant.id), name)),
                    "event_name": name,
                    "participant_id": participant.id,
                    "peer_id": participant.id,
                    "session_id": session.id,
                    "created_at": instant(at),
                    "updated_at": instant(at),
                }
                for name, at in times.items()
                if at is not None
            ]
        return shown

    def _found(self, request: web.Request) -> Session:
        session = self.find(request.match_info["session"])
        if session is None or (session.derived and all(one.started_at is None for one in self._recordings(session.id))):
            raise Refused(404, "Session not found")
        return session

    def _live(self, request: web.Request) -> Session:
        session = self.live(request.match_info["meeting"])
        if session is None:
            raise Refused(404, "No active session found")
        return session


def _ids(session: Session) -> set[str]:
    return {name for one in session.participants.values() for name in (one.id, one.custom_id)}
