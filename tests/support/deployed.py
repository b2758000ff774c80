"""The functions behind the API, called as API Gateway calls them, in this process.

AWS and R2 are moto's, Cloudflare is the stand-in on a loopback port. So a test sees what a caller sees, status and
headers included, without a deployed stack. What the gateway itself does (tokens, routes) is in tests/e2e.
"""

import asyncio
import importlib.util
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from moto.core.models import patch_client

from recordings import request_context
from recordings.adapters.aws import step_functions
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.domain.recording import Recording
from recordings.domain.room import Room
from tests.support.builders import a_recording, a_room
from tests.support.context import Context
from tests.support.table import a_table, empty
from tests.support.template import ROOT, resources
from tools.local.standin.cloudflare import TOKEN, Api
from tools.local.standin.state import Recording as ProviderRecording
from tools.local.standin.world import World

type Json = dict[str, Any]

SCOPES = "recordings:read recordings:write recordings:adopt recordings:audit"
MACHINES = ("PROCESSING_ARN", "ARCHIVING_ARN")
FUNCTIONS = resources("AWS::Serverless::Function")
HOUR = 3600.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Json

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def code(self) -> str:
        return str(self.body["code"])


class StandIn:
    """Cloudflare's API on a loopback port, and the state behind it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._place = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._place.getsockname()[1]}"

    def __enter__(self) -> "StandIn":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _begin(self) -> None:
        self.world = World(self._folder, self.origin, "http://127.0.0.1:9")
        self._settle()
        app = web.Application()
        app.add_routes(Api(self.world).routes())
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.SockSite(self._runner, self._place).start()

    async def _end(self) -> None:
        self.world.clear()
        await self._runner.cleanup()
        self.world.threads.shutdown()

    def _settle(self) -> None:
        # What has begun records until a test ends it, and delivers nothing.
        self.world.settings.own_bucket = "ignore"

    async def _clear(self) -> None:
        self.world.clear()
        self._settle()

    def clear(self) -> None:
        """Delete everything, and set everything as it was at first."""
        asyncio.run_coroutine_threadsafe(self._clear(), self._loop).result(30)

    def begin(self, meeting_id: str) -> ProviderRecording:
        """A recording that Cloudflare began by itself and that runs."""
        provider_recording = self.world.begin(meeting_id, auto=True)
        provider_recording.status, provider_recording.started_at = "RECORDING", provider_recording.invoked_at
        return provider_recording

    def finish(self, provider_recording: ProviderRecording) -> None:
        """End a recording whose file is complete and can be fetched."""
        provider_recording.stopped_at, provider_recording.stop_reason = provider_recording.invoked_at, "API_CALL"
        asyncio.run_coroutine_threadsafe(self.world.finish(provider_recording), self._loop).result(30)


@dataclass
class Deployed:
    """`call` is an API call; `seed` and `room` put into the table what a test begins with."""

    standin: StandIn
    recordings: DynamoRecordings = field(default_factory=DynamoRecordings)
    rooms: DynamoRooms = field(default_factory=DynamoRooms)
    _handlers: dict[str, Callable[[Json, Context], Json]] = field(default_factory=dict)
    _count: int = 0

    def handler(self, name: str) -> Callable[[Json, Context], Json]:
        """The handler of a function by its name in the template, loaded as Lambda loads it: once."""
        if name not in self._handlers:
            path = ROOT / FUNCTIONS[name]["CodeUri"] / "app.py"
            spec = importlib.util.spec_from_file_location(f"deployed_{path.parent.name}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self._handlers[name] = module.handler
        return self._handlers[name]

    def event(
        self,
        name: str,
        id: str | None = None,
        *,
        tenant: str = "tenant_1",
        scope: str = SCOPES,
        query: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        claims: Mapping[str, str] = {"sub": "user"},  # never changed
    ) -> Json:
        """Return the event of a request, by a route of the template. `body`: JSON, or bytes as they are.

        `claims` are those of the token that name the caller.
        """
        (route,) = [one["Properties"] for one in FUNCTIONS[name]["Events"].values() if one["Type"] == "HttpApi"]
        raw = body.decode() if isinstance(body, bytes) else None if body is None else json.dumps(body)
        self._count += 1
        return {
            "version": "2.0",
            "rawPath": route["Path"].replace("{id}", id or ""),
            "rawQueryString": query,
            "headers": dict(headers or {}),
            "pathParameters": {} if id is None else {"id": id},
            "requestContext": {
                "requestId": f"request-{self._count}",
                "http": {"method": route["Method"], "path": route["Path"]},
                "authorizer": {"jwt": {"claims": {"tenant_id": tenant, "scope": scope} | dict(claims), "scopes": None}},
            },
            "body": raw,
            "isBase64Encoded": False,
        }

    def call(self, name: str, id: str | None = None, **request: Any) -> Answer:
        """Call a function with the `event` of a request."""
        event = self.event(name, id, **request)
        given = self.handler(name)(event, Context(HOUR))
        reported = Answer(given["statusCode"], given["headers"], json.loads(given["body"]))
        # Holds for every answer there is.
        assert reported.headers["x-request-id"] == event["requestContext"]["requestId"]
        return reported

    def room(self, **facts: Any) -> Room:
        """A room in the table, with a meeting at the stand-in."""
        meeting = self.standin.world.add_meeting(None, record_on_start=False, config=None)
        room = a_room(**{"meeting_id": meeting.id} | facts)
        self.rooms.add(room)
        return self.rooms.get(room.tenant_id, room.id)

    def seed(self, **facts: Any) -> Recording:
        """A recording in the table, in the status that is asked for."""
        self._count += 1
        unique = {"cloudflare_recording_id": f"capture-{self._count}"}
        recording = a_recording(**unique | facts)
        if "id" not in facts:
            recording = a_recording(**unique | facts | {"id": f"{recording.id[:-6]}{self._count:06}"})
        self.recordings.add(recording, lease_nonce=None)
        return self.recordings.get_including_deleted(recording.tenant_id, recording.id)

    def empty(self) -> None:
        """Take everything out of the table."""
        empty()

    @cached_property
    def archive(self) -> Any:
        """S3, where the archive bucket is."""
        return boto3.client("s3", region_name="us-east-1")

    def runs(self, machine: str) -> list[str]:
        """The names of the executions of a state machine."""
        found = boto3.client("stepfunctions").list_executions(stateMachineArn=os.environ[machine])
        return [one["name"] for one in found["executions"]]


@contextmanager
def deployed(folder: Path) -> Iterator[Deployed]:
    """Everything behind the API, empty; `folder` is for the stand-in's files."""
    with a_table(), pytest.MonkeyPatch.context() as environment, StandIn(folder) as standin:
        patch_client(step_functions.client)
        secrets = {
            "r2-secret": {"access_key_id": "id", "secret_access_key": "key"},
            "cloudflare-secret": {"api_token": TOKEN},
        }
        for name, value in secrets.items():
            boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(value))
        for bucket in ("files", "archive"):
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
        definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}})
        for machine in MACHINES:
            made = boto3.client("stepfunctions").create_state_machine(
                name=machine, definition=definition, roleArn="arn:aws:iam::123456789012:role/run"
            )
            environment.setenv(machine, made["stateMachineArn"])
        values = {
            "CLOUDFLARE_API_URL": f"{standin.origin}/client/v4",
            "CLOUDFLARE_WEBHOOK_KEY_URL": f"{standin.origin}/.well-known/webhooks.json",
            "CLOUDFLARE_CALLS_PER_MINUTE": "100000",
            "CLOUDFLARE_SECRET_ARN": "cloudflare-secret",
            "R2_ENDPOINT": "https://s3.amazonaws.com",
            "R2_SECRET_ARN": "r2-secret",
            "SECRET_TTL_SECONDS": "300",
            "R2_BUCKET": "files",
            "ARCHIVE_BUCKET": "archive",
            "DOWNLOAD_ROLE_ARN": "arn:aws:iam::123456789012:role/download",
            "DIRECT_DELIVERY": "off",
        }
        # A call that its request's deadline shortens is sent past moto, which stands where botocore would send.
        environment.setattr(request_context, "REQUEST_SECONDS", HOUR)
        for name, text in values.items():
            environment.setenv(name, text)
        yield Deployed(standin)
