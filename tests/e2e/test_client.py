"""The Python client and the command `recordings` against the deployed stack."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from recordings_client import AsyncClient, Client
from recordings_client.cli import app
from recordings_client.errors import RecordingNotFound, RoomAlreadyRecording
from typer.testing import CliRunner

from tests.e2e.support import MAX_WAIT_SECONDS
from tools.local import stack


def sha256_of(cloudflare: httpx.Client, meeting_id: str) -> str:
    (made,) = cloudflare.get("/recordings", params={"meeting_id": meeting_id}).json()["data"]
    return str(made["sha256"])


def test_a_recordings_life_through_the_client(
    running: dict[str, Any], tenant: str, cloudflare: httpx.Client, tmp_path: Path
) -> None:
    with Client(running["api_url"], lambda: stack.token(running, tenant)) as client:
        room = client.put_room("room_1", name="CS101 Lecture")
        began = client.start("room_1")
        with pytest.raises(RoomAlreadyRecording) as refusal:
            client.start("room_1")
        assert refusal.value.recording is not None
        assert refusal.value.recording.id == began.id
        assert client.stop("room_1").id == began.id
        client.wait_until_ready(began.id, timeout=MAX_WAIT_SECONDS)
        file = client.download(began.id, tmp_path / "a.mp4")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert room.cloudflare_meeting_id is not None
        assert digest == sha256_of(cloudflare, room.cloudflare_meeting_id)
        assert [one.id for one in client.iter_recordings(room_id="room_1")] == [began.id]
        client.delete(began.id)
        with pytest.raises(RecordingNotFound):
            client.get(began.id)
        client.undelete(began.id)
        assert client.get(began.id).status == "ready"
        assert client.sync("room_1").synced_count == 0


def test_the_async_client_does_the_same(running: dict[str, Any], tenant: str) -> None:
    async def live() -> None:
        async with AsyncClient(running["api_url"], stack.token(running, tenant)) as client:
            await client.put_room("room_1", name="CS101 Lecture")
            began = await client.start("room_1")
            await client.stop("room_1")
            await client.wait_until_ready(began.id, timeout=MAX_WAIT_SECONDS)
            assert [one.id async for one in client.iter_recordings()] == [began.id]
            assert [one.id async for one in client.iter_rooms()] == ["room_1"]

    asyncio.run(live())


def test_the_command_line_shows_what_the_api_says(
    running: dict[str, Any], tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDINGS_URL", running["api_url"])
    monkeypatch.setenv("RECORDINGS_TOKEN", stack.token(running, tenant))

    def run(*words: str, exit_code: int = 0) -> str:
        done = CliRunner().invoke(app, [*words])
        assert done.exit_code == exit_code, done.output
        return done.output

    run("rooms", "put", "room_1", "--name", "CS101 Lecture")
    began = json.loads(run("start", "room_1", "--json"))
    run("start", "room_1", exit_code=1)
    run("stop", "room_1")
    run("watch", began["id"])
    assert began["id"] in run("list", "--json")
    run("download", began["id"], "--to", str(tmp_path / "a.mp4"))
    assert (tmp_path / "a.mp4").stat().st_size > 0
    run("show", "rec_unknown", exit_code=4)
