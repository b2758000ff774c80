"""Cloudflare's official SDK against the stand-in: every method works or is clearly not offered, and every response is
exactly what the SDK's models say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cloudflare import APIStatusError, NotFoundError

from tests.e2e.support import until
from tests.support import sdk
from tests.support.standin import serving
from tools.local.standin.cloudflare import TOKEN

ACCOUNT, APP = "account", "app"
# What RealtimeKit has and the stand-in does not: listed in docs/stand-in.md.
NOT_OFFERED = {
    "active_session.create_poll",
    *(name for name in sdk.operations() if name.startswith("livestreams.") and name != "livestreams.get_org_analytics"),
    "sessions.generate_summary_of_transcripts",
    "sessions.get_participant_data_from_peer_id",
    "sessions.get_session_chat",
    "sessions.get_session_summary",
    "sessions.get_session_transcripts",
}
CONFIG = {
    "audio_config": {"channel": "stereo", "codec": "AAC", "export_file": False},
    "video_config": {"codec": "H264", "width": 1280, "height": 720},
    "file_name_prefix": "team",
    "max_seconds": 600,
    "realtimekit_bucket_config": {"enabled": True},
    "storage_config": {"type": "aws", "access_key": "key", "secret": "s3cret", "bucket": "b", "region": "us-east-1"},
}
MEETING = {
    "title": "Standup",
    "record_on_start": True,
    "live_stream_on_start": False,
    "persist_chat": True,
    "summarize_on_end": True,
    "transcribe_on_end": True,
    "session_keep_alive_time_in_secs": 120,
    "ai_config": {"transcription": {"language": "de"}, "summarization": {"summary_type": "interview"}},
    "recording_config": CONFIG,
}
HOOK = {"name": "ours", "url": "https://api.example/hook", "events": ["recording.statusUpdate"]}


class Standin:
    """The SDK and the control API, and what a test needs to be there."""

    def __init__(self, origin: str) -> None:
        self.origin, self.sdk = origin, sdk.client(origin, TOKEN)

    def call(self, name: str, /, **given: Any) -> Any:
        """What the SDK makes of the response, which must be what its model says, field by field."""
        operation = sdk.operations()[name]
        raw = self.raw(name, **given)
        assert sdk.misfits(operation.response, raw.http_response.json()) == []
        return raw.parse()

    def raw(self, name: str, /, **given: Any) -> Any:
        resource, method = name.split(".")
        arguments = sdk.arguments(name, account_id=ACCOUNT, app_id=APP, **given)
        return getattr(getattr(self.sdk.realtime_kit, resource).with_raw_response, method)(**arguments)

    def control(self, path: str, **body: Any) -> Any:
        received = requests.post(f"{self.origin}/_control{path}", json=body, timeout=20)
        assert received.ok, received.text
        return received.json()["data"] if received.content else None

    def meeting(self, **given: Any) -> str:
        return str(self.call("meetings.create", **MEETING | given).data.id)

    def participant(self, meeting_id: str, custom_id: str = "ann") -> str:
        made = self.call(
            "meetings.add_participant", meeting_id=meeting_id, custom_participant_id=custom_id,
            preset_name="group_call_host", name=custom_id.title(),
        )  # fmt: skip
        return str(made.data.id)

    def running(self, meeting_id: str) -> str:
        """A recording that records."""
        recording_id = self.call("recordings.start_recordings", meeting_id=meeting_id).data.id
        self.reaches(recording_id, "RECORDING")
        return str(recording_id)

    def status(self, recording_id: str) -> str:
        return str(self.call("recordings.get_one_recording", recording_id=recording_id).data.status)

    def reaches(self, recording_id: str, status: str) -> None:
        until(lambda: self.status(recording_id) == status)

    def command(self, recording_id: str, action: str) -> Any:
        return self.call("recordings.pause_resume_stop_recording", recording_id=recording_id, action=action).data


@pytest.fixture(scope="module")
def serving_standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with serving(tmp_path_factory.mktemp("standin")) as origin:
        # One for all tests: making the SDK's client takes long.
        yield Standin(origin)


@pytest.fixture
def standin(serving_standin: Standin) -> Standin:
    serving_standin.control("/reset")
    serving_standin.control("/settings", start_seconds=0, upload_seconds=0, track_rows="reference")
    return serving_standin


# ---------------------------------------------------------------- every method


def everything(standin: Standin) -> dict[str, dict[str, Any]]:
    """One call of each method that is offered, and what it needs to be there. Dicts keep their order."""
    meeting = standin.meeting()
    person, other = standin.participant(meeting), standin.participant(meeting, "ben")
    recording = standin.running(meeting)
    standin.control("/recordings", meeting_id=meeting)
    session = standin.call("recordings.get_one_recording", recording_id=recording).data.session_id
    preset = standin.call("presets.create", **sdk.request_example("presets.create", full=True)).data.id
    hook = standin.call("webhooks.create_webhook", **HOOK).data.id
    here = {"meeting_id": meeting, "session_id": session, "recording_id": recording, "preset_id": preset}
    here |= {"participant_id": person, "webhook_id": hook}
    given: dict[str, dict[str, Any]] = {
        "apps.get": {"sort_order": "ASC", "page_no": 1, "per_page": 10},
        "apps.post": {"name": "another"},
        "meetings.create": MEETING,
        "meetings.get": {"status": "ACTIVE", "per_page": 5, "page_no": 1, "search": "stand"},
        "meetings.get_meeting_by_id": {},
        "meetings.update_meeting_by_id": {"title": "Retro", "record_on_start": False},
        "meetings.add_participant": {"custom_participant_id": "eve", "preset_name": "group_call_participant"},
        "meetings.get_meeting_participants": {"per_page": 2},
        "meetings.get_meeting_participant": {},
        "meetings.edit_participant": {"name": "Anna"},
        "meetings.refresh_participant_token": {},
        "meetings.delete_meeting_participant": {"participant_id": other},
        "meetings.replace_meeting_by_id": {"title": "New"},
        "presets.create": sdk.request_example("presets.create"),
        "presets.get": {"search": "group"},
        "presets.get_preset_by_id": {},
        "presets.update": {"permissions": {"can_record": False}},
        "presets.replace_preset_by_id": sdk.request_example("presets.replace_preset_by_id"),
        "presets.delete": {},
        "recordings.get_recordings": {},
        "recordings.get_one_recording": {},
        "recordings.get_active_recordings": {},
        "recordings.pause_resume_stop_recording": {"action": "pause"},
        "recordings.start_recordings": {"allow_multiple_recordings": True, "max_seconds": 60},
        "recordings.start_track_recording": {"layers": {"default": {"file_name_prefix": "speaker"}}},
        "sessions.get_sessions": {"associated_id": meeting},
        "sessions.get_session_details": {"include_breakout_rooms": True},
        "sessions.get_session_participants": {"include_peer_events": True, "sort_by": "duration"},
        "sessions.get_session_participant_details": {"include_peer_events": True},
        "webhooks.create_webhook": {**HOOK, "enabled": False},
        "webhooks.get_webhooks": {},
        "webhooks.get_webhook_by_id": {},
        "webhooks.edit_webhook": {"enabled": False},
        "webhooks.replace_webhook": HOOK,
        "webhooks.delete_webhook": {},
        "analytics.get_org_analytics": {"start_date": "2020-01-01"},
        "livestreams.get_org_analytics": {"end_date": "2120-01-01"},
        "active_session.get_active_session": {},
        "active_session.kick_participants": {"participant_ids": [person]},
        "active_session.kick_all_participants": {},
    }
    return {name: here | more for name, more in given.items()}


def test_every_method_of_the_sdk_is_offered_or_known_not_to_be(standin: Standin) -> None:
    called = everything(standin)
    assert called.keys() | NOT_OFFERED == sdk.operations().keys()
    assert called.keys().isdisjoint(NOT_OFFERED)
    for name, given in called.items():
        assert standin.call(name, **given).success, name


@pytest.mark.parametrize("name", sorted(NOT_OFFERED))
def test_what_is_not_offered_is_a_404_in_the_gateways_envelope(standin: Standin, name: str) -> None:
    with pytest.raises(NotFoundError) as error:
        standin.raw(name)
    assert [one.code for one in error.value.errors] == [7003, 7000]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("meetings.get_meeting_by_id", "meeting_id"),
        ("meetings.get_meeting_participant", "participant_id"),
        ("recordings.get_one_recording", "recording_id"),
        ("recordings.get_active_recordings", "meeting_id"),
        ("sessions.get_session_details", "session_id"),
        ("sessions.get_session_participants", "session_id"),
        ("active_session.get_active_session", "meeting_id"),
        ("presets.get_preset_by_id", "preset_id"),
        ("webhooks.get_webhook_by_id", "webhook_id"),
    ],
)
def test_what_does_not_exist_is_a_404_in_realtimekits_envelope(standin: Standin, name: str, missing: str) -> None:
    given = {"meeting_id": standin.meeting()} | {missing: "absent"}
    with pytest.raises(NotFoundError) as error:
        standin.raw(name, **given)
    assert error.value.response.json()["error"]["code"] == 404


@pytest.mark.parametrize(
    ("name", "odd", "named"),
    [
        ("recordings.get_recordings", {"sort_by": "name"}, "sort_by"),
        ("recordings.get_recordings", {"sort_order": "UP"}, "sort_order"),
        ("recordings.get_recordings", {"status": ["LOST"]}, "status"),
        ("recordings.get_recordings", {"page_no": -1}, "page_no"),
        ("recordings.get_recordings", {"per_page": "many"}, "per_page"),
        ("recordings.get_recordings", {"start_time": "yesterday"}, "start_time"),
        ("recordings.get_recordings", {"expired": "perhaps"}, "expired"),
        ("recordings.start_recordings", {"max_seconds": 59}, "max_seconds"),
        ("recordings.pause_resume_stop_recording", {"action": "rewind"}, "action"),
        ("recordings.start_track_recording", {"layers": {"default": {"media_kind": "video"}}}, "media_kind"),
        ("recordings.start_track_recording", {"user_ids": ["u"] * 101}, "user_ids"),
        ("meetings.create", {"record_on_start": "yes"}, "record_on_start"),
        ("meetings.create", {"session_keep_alive_time_in_secs": 5}, "session_keep_alive_time_in_secs"),
        ("meetings.update_meeting_by_id", {"status": "GONE"}, "status"),
        ("sessions.get_sessions", {"status": "LOST"}, "status"),
        ("webhooks.create_webhook", HOOK | {"events": ["recording.lost"]}, "events"),
        ("webhooks.create_webhook", HOOK | {"url": "nowhere"}, "url"),
        ("analytics.get_org_analytics", {"start_date": "today"}, "start_date"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_out_of_range_is_a_422_that_names_it(
    standin: Standin, name: str, odd: dict[str, Any], named: str
) -> None:
    meeting = standin.meeting()
    recording = standin.control("/recordings", meeting_id=meeting, status="RECORDING")["id"]
    with pytest.raises(APIStatusError) as error:
        standin.raw(name, **{"meeting_id": meeting, "recording_id": recording} | odd)
    assert error.value.status_code == 422
    assert named in error.value.response.json()["error"]["message"]


def test_a_wrong_token_is_refused_by_the_gateway_whatever_is_called(standin: Standin) -> None:
    stranger = sdk.client(standin.origin, "wrong")
    for call in (stranger.realtime_kit.meetings.get, stranger.realtime_kit.livestreams.get_all_livestreams):
        with pytest.raises(APIStatusError) as error:
            call(APP, account_id=ACCOUNT)
        assert (error.value.status_code, [one.code for one in error.value.errors]) == (401, [10000])


# ---------------------------------------------------------------- pause, resume and stop


def test_a_paused_recording_is_running_and_goes_on_or_ends(standin: Standin) -> None:
    meeting = standin.meeting()
    recording = standin.running(meeting)
    assert standin.command(recording, "pause").status == "PAUSED"
    assert standin.call("recordings.get_active_recordings", meeting_id=meeting).data.status == "PAUSED"
    (listed,) = standin.call("recordings.get_recordings", meeting_id=meeting, status=["PAUSED"]).data
    assert (listed.id, listed.stopped_time) == (recording, None)
    with pytest.raises(APIStatusError) as error:
        standin.raw("recordings.start_recordings", meeting_id=meeting)
    assert error.value.status_code == 409
    assert standin.command(recording, "resume").status == "RECORDING"
    assert standin.command(recording, "pause").status == "PAUSED"
    ended = standin.command(recording, "stop")
    assert (ended.status, ended.stop_reason.reason) == ("UPLOADING", "API_CALL")
    standin.reaches(recording, "UPLOADED")


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        ("INVOKED", {"pause", "resume"}),
        ("RECORDING", {"resume"}),
        ("PAUSED", {"pause"}),
        ("UPLOADING", {"stop", "pause", "resume"}),
        ("UPLOADED", {"stop", "pause", "resume"}),
        ("ERRORED", {"stop", "pause", "resume"}),
    ],
)
def test_a_command_that_does_not_fit_the_status_is_refused_and_changes_nothing(
    standin: Standin, status: str, refused: set[str]
) -> None:
    for action in ("pause", "resume", "stop"):
        recording = standin.control("/recordings", status=status)["id"]
        if action not in refused:
            assert standin.command(recording, action).status != status
            continue
        with pytest.raises(APIStatusError) as error:
            standin.command(recording, action)
        assert error.value.status_code == 409
        assert standin.status(recording) == status


def test_the_time_of_a_pause_is_no_part_of_the_recording(standin: Standin) -> None:
    made = standin.control("/recordings", status="RECORDING", age_seconds=1000)
    # It has recorded for ten seconds, and been paused since.
    standin.control(f"/recordings/{made['id']}/status", status="PAUSED", paused_seconds=990)
    standin.command(made["id"], "stop")
    standin.reaches(made["id"], "UPLOADED")
    reported = standin.call("recordings.get_one_recording", recording_id=made["id"]).data
    assert reported.recording_duration == 10
    assert (reported.stopped_time - reported.started_time).total_seconds() >= 1000


# ---------------------------------------------------------------- track recordings


def test_tracks_are_recorded_beside_the_meeting_one_file_for_each_participant(standin: Standin) -> None:
    meeting = standin.meeting()
    for name in ("ann", "ben", "eve"):
        standin.participant(meeting, name)
    with pytest.raises(NotFoundError):
        standin.raw("recordings.start_track_recording", meeting_id=meeting)
    session = standin.control("/join", meeting_id=meeting)["session_id"]
    started = standin.call("recordings.start_track_recording", meeting_id=meeting, user_ids=["ann", "ben"]).data
    track = started.recording
    assert track.output_file_name.startswith("default_ann_")
    # The meeting as a whole is not being recorded.
    with pytest.raises(NotFoundError):
        standin.raw("recordings.get_active_recordings", meeting_id=meeting)
    whole = standin.running(meeting)
    standin.reaches(track.id, "RECORDING")
    rows = standin.call("recordings.get_recordings", meeting_id=meeting).data
    assert {row.id: row.session_id for row in rows} == {track.id: session, whole: session}
    standin.command(track.id, "stop")
    standin.reaches(track.id, "UPLOADED")
    assert standin.status(whole) == "RECORDING"

    standin.control("/settings", track_rows="guide")
    raw = standin.raw("recordings.get_one_recording", recording_id=track.id).http_response.json()
    # This is all in which the guide and the SDK differ.
    odd = sdk.misfits(sdk.operations()["recordings.get_one_recording"].response, raw)
    assert {one.split(":")[0] for one in odd} == {".data.type", ".data.meeting_id", ".data.download_url"}
    assert raw["data"]["type"] == "TRACK"
    ((layer,)) = raw["data"]["download_url"]
    assert layer["layer_name"] == "default"
    assert [name.split("_")[1] for name in layer["download_urls"]] == ["ann", "ben"]
    for file in layer["download_urls"].values():
        assert requests.get(file["download_url"], timeout=20).status_code == 200


def test_tracks_end_with_the_session_and_the_meeting_some_time_after_it(standin: Standin) -> None:
    meeting = standin.meeting()
    standin.control("/join", meeting_id=meeting)
    standin.control("/settings", empty_seconds=3600)
    whole = standin.running(meeting)
    track = standin.call("recordings.start_track_recording", meeting_id=meeting).data.recording.id
    kicked = standin.call("active_session.kick_all_participants", meeting_id=meeting).data
    assert kicked.kicked_participants_count == 1
    standin.reaches(track, "UPLOADED")
    assert standin.status(whole) == "RECORDING"
    with pytest.raises(NotFoundError):
        standin.raw("active_session.get_active_session", meeting_id=meeting)


def test_everybody_gone_for_long_enough_ends_the_recording(standin: Standin) -> None:
    meeting = standin.meeting()
    ann, ben = standin.participant(meeting), standin.participant(meeting, "ben")
    standin.control("/settings", empty_seconds=0)
    recording = standin.running(meeting)
    session = standin.call("active_session.get_active_session", meeting_id=meeting).data
    assert (session.live_participants, session.status) == (2, "LIVE")
    out = standin.call("active_session.kick_participants", meeting_id=meeting, participant_ids=[ann]).data
    assert [one.id for one in out.participants] == [ann]
    assert standin.status(recording) == "RECORDING"
    standin.call("active_session.kick_participants", meeting_id=meeting, custom_participant_ids=["ben"])
    standin.reaches(recording, "UPLOADED")
    reported = standin.call("recordings.get_one_recording", recording_id=recording).data
    assert reported.stop_reason.reason == "ALL_PEERS_LEFT"
    session = standin.call("sessions.get_session_details", session_id=session.id).data
    assert (session.status, session.live_participants) == ("ENDED", 0)
    left = standin.call("sessions.get_session_participants", session_id=session.id).data.participants
    assert {one.id for one in left} == {ann, ben}
    assert all(one.left_at is not None for one in left)


# ---------------------------------------------------------------- listings


def test_a_listing_of_recordings_is_filtered_sorted_and_paged(standin: Standin) -> None:
    lab, hall = standin.meeting(title="Lab"), standin.meeting(title="Hall")
    many = standin.control("/recordings", meeting_id=lab, count=3, age_seconds=100, apart_seconds=100)
    one = standin.control("/recordings", meeting_id=hall, age_seconds=1000)["id"]
    old = {"url_until": "2026-01-06T10:30:00Z"}
    requests.patch(f"{standin.origin}/_control/recordings/{one}", json=old, timeout=20).raise_for_status()

    def ids(**query: Any) -> list[str]:
        return [row.id for row in standin.call("recordings.get_recordings", **query).data]

    oldest_first = [one, *many]
    assert ids() == oldest_first[::-1]
    assert ids(sort_by="invokedTime", sort_order="ASC") == oldest_first
    assert ids(meeting_id=hall) == ids(search=hall) == ids(search="hall") == [one]
    assert ids(status=["UPLOADED", "ERRORED"]) == ids()
    assert ids(status=["RECORDING"]) == []
    assert ids(expired=True) == [one]
    assert ids(expired=False) == many[::-1]
    middle = datetime.now(UTC) - timedelta(seconds=250)
    assert ids(start_time=middle) == many[1:][::-1]
    assert ids(end_time=middle.isoformat()) == [many[0], one]
    page = standin.call("recordings.get_recordings", page_no=2, per_page=3)
    assert [row.id for row in page.data] == [one]
    assert (page.paging.start_offset, page.paging.end_offset, page.paging.total_count) == (4, 4, 4)


def test_a_listing_of_sessions_is_filtered_sorted_and_paged(standin: Standin) -> None:
    lab, hall = standin.meeting(title="Lab"), standin.meeting(title="Hall")
    standin.control("/recordings", meeting_id=lab, count=2, age_seconds=100, apart_seconds=100)
    live = standin.control("/join", meeting_id=hall)["session_id"]

    def found(**query: Any) -> list[Any]:
        return list(standin.call("sessions.get_sessions", **query).data.sessions)

    assert [one.id for one in found(status="LIVE")] == [live]
    assert [one.associated_id for one in found(sort_by="createdAt", sort_order="ASC")] == [lab, lab, hall]
    assert [one.id for one in found(search="Hall")] == [one.id for one in found(associated_id=hall)] == [live]
    assert len(found(participants="guest")) == 3
    assert len(found(end_time=datetime.now(UTC) - timedelta(seconds=150))) == 1
    page = standin.call("sessions.get_sessions", page_no=2, per_page=2)
    assert (len(page.data.sessions), page.paging.total_count) == (1, 3)


# ---------------------------------------------------------------- what is stored


def test_a_meeting_is_changed_in_part_or_as_a_whole_and_shows_no_secret(standin: Standin) -> None:
    meeting = standin.meeting()
    reported = standin.call("meetings.get_meeting_by_id", meeting_id=meeting).data
    assert {name: value for name, value in MEETING.items() if name not in ("recording_config", "ai_config")} == {
        name: getattr(reported, name) for name in MEETING if name not in ("recording_config", "ai_config")
    }
    assert "s3cret" not in reported.to_json()
    assert reported.recording_config.storage_config.bucket == "b"
    part = standin.call("meetings.update_meeting_by_id", meeting_id=meeting, title="Retro", status="INACTIVE").data
    assert (part.title, part.status, part.persist_chat, part.record_on_start) == ("Retro", "INACTIVE", True, True)
    assert part.updated_at >= reported.updated_at
    whole = standin.call("meetings.replace_meeting_by_id", meeting_id=meeting, title="New").data
    assert (whole.title, whole.status, whole.persist_chat, whole.record_on_start) == ("New", "ACTIVE", False, False)
    assert whole.recording_config is None
    assert whole.created_at == reported.created_at


def test_a_webhook_is_changed_replaced_and_removed(standin: Standin) -> None:
    made = standin.call("webhooks.create_webhook", **HOOK).data
    assert made.enabled
    edited = standin.call("webhooks.edit_webhook", webhook_id=made.id, enabled=False).data
    assert (edited.enabled, edited.url, edited.created_at) == (False, made.url, made.created_at)
    events = ["meeting.ended", "meeting.started"]
    replaced = standin.call("webhooks.replace_webhook", webhook_id=made.id, **HOOK | {"events": events}).data
    assert (replaced.enabled, replaced.events) == (True, events)
    assert [one.id for one in standin.call("webhooks.get_webhooks").data] == [made.id]
    assert standin.call("webhooks.delete_webhook", webhook_id=made.id).data.id == made.id
    assert standin.call("webhooks.get_webhooks").data == []


def test_a_preset_is_changed_in_part_or_as_a_whole(standin: Standin) -> None:
    given = sdk.request_example("presets.create", full=True)
    made = standin.call("presets.create", **given).data
    part = standin.call("presets.update", preset_id=made.id, permissions={"can_record": False}).data
    assert (part.permissions.can_record, part.permissions.can_spotlight) == (False, True)
    whole = standin.call("presets.replace_preset_by_id", preset_id=made.id, **given | {"name": "other"}).data
    assert (whole.id, whole.name, whole.permissions.can_record) == (made.id, "other", True)
    standin.call("presets.delete", preset_id=made.id)
    with pytest.raises(NotFoundError):
        standin.raw("meetings.add_participant", meeting_id=standin.meeting(), preset_name="other")


def test_analytics_count_what_was_recorded_on_a_day(standin: Standin) -> None:
    meeting = standin.meeting()
    standin.control("/recordings", meeting_id=meeting, count=2, age_seconds=3 * 86400, seconds=120)
    day = (datetime.now(UTC) - timedelta(days=3)).date().isoformat()
    found = standin.call("analytics.get_org_analytics", start_date="2020-01-01", end_date=day).data
    assert found.recording_stats.recording_count == found.session_stats.sessions_count == 2
    assert found.recording_stats.recording_minutes_consumed == 4
    assert standin.call("analytics.get_org_analytics", end_date="2020-01-01").data.recording_stats.recording_count == 0
