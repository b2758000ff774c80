"""The local gateway throttles and writes the access log as API Gateway does."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.template import template
from tools.local.stage import Bucket, Settings, Stage

ROUTES = ("GET /api/v1/recordings", "GET /api/v1/recordings/{id}", "POST /webhooks/cloudflare", "ANY /files/{path+}")
API = template()["Resources"]["Api"]["Properties"]
FORMAT = API["AccessLogSettings"]["Format"]["Fn::Sub"].replace("${TenantClaim}", "tenant_id")


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/api/v1/recordings", "GET /api/v1/recordings"),
        ("GET", "/api/v1/recordings/rec_1", "GET /api/v1/recordings/{id}"),
        ("GET", "/api/v1/recordings/rec_1/more", None),
        ("DELETE", "/api/v1/recordings/rec_1", None),
        ("PUT", "/files/a/b", "ANY /files/{path+}"),
        ("GET", "/apixv1/recordings", None),
    ],
)
def test_a_request_finds_its_route(method: str, path: str, route: str | None) -> None:
    assert Settings(ROUTES).route_of(method, path) == route


def test_a_bucket_admits_a_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=2, burst=3)
    assert [bucket.admits(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.admits(10.5), bucket.admits(10.5)] == [True, False]
    # However long nothing comes, it never holds more than the burst.
    assert [bucket.admits(1000.0) for _ in range(4)] == [True, True, True, False]


def settings_file(folder: Path, **changed: Any) -> Path:
    reported = {"routes": ROUTES, "default": {}, "by_route": {}, "log_format": FORMAT} | changed
    path = folder / "stage.json"
    path.write_text(json.dumps(reported))
    return path


async def upstream(request: web.Request) -> web.Response:
    """The deployed API: a function answers the first two routes, the gateway itself the rest."""
    if request.path.startswith("/api/v1/recordings"):
        if "Authorization" not in request.headers:
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"data": []}, headers={"x-request-id": "given-by-gateway"})
    if request.path.startswith("/webhooks"):
        return web.json_response({"code": "signature_invalid"}, status=401, headers={"x-request-id": "r"})
    return web.json_response({"message": "Not Found"}, status=404)


def at_the_stage(stage: Stage, calls: Callable[[TestClient[Any, Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", upstream)
        stage.install(app)
        async with TestClient(TestServer(app)) as client:
            await calls(client)

    asyncio.run(run())


def token(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer e30.{part}.sig"


def test_a_route_of_its_own_is_throttled_and_others_are_not(tmp_path: Path) -> None:
    limits = {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 2}
    path = settings_file(tmp_path, default={"ThrottlingRateLimit": 1000, "ThrottlingBurstLimit": 1000},
                         by_route={"POST /webhooks/cloudflare": limits})  # fmt: skip
    now = [100.0]

    async def calls(client: TestClient[Any, Any]) -> None:
        responses = [await client.post("/webhooks/cloudflare") for _ in range(4)]
        assert [response.status for response in responses] == [401, 401, 429, 429]
        refusal = responses[-1]
        assert await refusal.json() == {"message": "Too Many Requests"}
        assert refusal.headers["apigw-requestid"]
        assert (await client.get("/api/v1/recordings", headers={"Authorization": token()})).status == 200
        now[0] += 1
        assert (await client.post("/webhooks/cloudflare")).status == 401

    at_the_stage(Stage(path, tmp_path / "access.log", lambda: now[0]), calls)


def test_a_deploy_changes_the_limits_of_a_running_gateway(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    stage = Stage(path, tmp_path / "access.log")
    assert stage.settings().bucket_of("GET /api/v1/recordings") is None
    settings_file(tmp_path, default={"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}, log_format="")
    bucket = stage.settings().bucket_of("GET /api/v1/recordings")
    assert bucket is not None
    assert bucket.burst == 1


def test_without_settings_everything_passes_and_nothing_is_logged(tmp_path: Path) -> None:
    async def calls(client: TestClient[Any, Any]) -> None:
        assert (await client.get("/elsewhere")).status == 404

    at_the_stage(Stage(tmp_path / "stage.json", tmp_path / "access.log"), calls)
    assert not (tmp_path / "access.log").exists()


def lines(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "access.log").read_text().splitlines()]


def test_every_answer_leaves_a_line_the_gateways_own_too(tmp_path: Path) -> None:
    limits = {"POST /webhooks/cloudflare": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}}
    path = settings_file(tmp_path, by_route=limits)

    async def calls(client: TestClient[Any, Any]) -> None:
        response = await client.get(
            "/api/v1/recordings/rec_1",
            headers={"Authorization": token(tenant_id="acme", sub="ann"), "User-Agent": 'x","sub":"eve'},
        )
        assert response.headers["apigw-requestid"] == "given-by-gateway"
        await client.get("/api/v1/recordings")
        await client.get("/elsewhere")
        await client.post("/webhooks/cloudflare")
        await client.post("/webhooks/cloudflare")

    at_the_stage(Stage(path, tmp_path / "access.log", lambda: 5.0), calls)
    found = lines(tmp_path)
    seen = [(one["status"], one["routeKey"], one["error"]) for one in found]
    assert seen == [
        ("200", "GET /api/v1/recordings/{id}", "-"),
        ("401", "GET /api/v1/recordings", "Unauthorized"),
        ("404", "-", "Not Found"),
        ("401", "POST /webhooks/cloudflare", "-"),
        ("429", "POST /webhooks/cloudflare", "Too Many Requests"),
    ]
    assert found[0]["requestId"] == "given-by-gateway"
    assert (found[0]["tenant"], found[0]["sub"]) == ("acme", "ann")
    # Nobody was authenticated, so nobody is named.
    assert {(one["tenant"], one["sub"]) for one in found[1:]} == {("-", "-")}
    assert {one["sourceIp"] for one in found} == {"127.0.0.1"}


def test_what_a_caller_writes_cannot_overrule_what_the_gateway_says() -> None:
    """Should the gateway not escape a quote in it, JSON's last value of a name counts."""
    names = re.findall(r'"(\w+)":"\$context', FORMAT)
    assert names[0] == "userAgent"
    forged = FORMAT.replace("$context.identity.userAgent", 'x","sub":"eve","status":"200')
    line = json.loads(re.sub(r"\$context\.[\w.]+", "true", forged))
    assert (line["sub"], line["status"]) == ("true", "true")
