"""A stage of an HTTP API as API Gateway has it and the emulator does not: throttled routes and the access log.

The settings are those of the deployed stage, which `describe` reads back from the emulator into a file. Sources: API
Gateway Developer Guide, "Throttle requests to your HTTP APIs" and "Customize HTTP API access logs".
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

VARIABLE: Final = re.compile(r"\$context\.([A-Za-z0-9_.]+)")
# The log's text for a variable without a value.
NOTHING: Final = "-"
HEADER: Final = "apigw-requestid"
REQUEST_ID: Final = web.RequestKey("request_id", str)


@dataclass(slots=True)
class Bucket:
    """A token bucket: `burst` requests at once, then `rate` per second."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def admits(self, now: float) -> bool:
        """Accept or refuse one request at `now`, in seconds of a monotonic clock."""
        passed = 0.0 if self.at is None else now - self.at
        self.tokens, self.at = min(self.burst, self.tokens + passed * self.rate), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class Settings:
    """A deployed stage: the route keys of its API, throttling by route, and the access log's format ("" for none)."""

    routes: tuple[str, ...] = ()
    default: Mapping[str, Any] = field(default_factory=dict)
    by_route: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    log_format: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        reported = json.loads(path.read_text())
        return cls(tuple(reported["routes"]), reported["default"], reported["by_route"], reported["log_format"])

    def route_of(self, method: str, path: str) -> str | None:
        """Return the route key for a request. One without parameters wins."""
        found = [key for key in self.routes if _matches(key, method, path)]
        return min(found, key=lambda key: (key == "$default", key.count("{"), key), default=None)

    def bucket_of(self, route: str) -> Bucket | None:
        """Return a new bucket for a route; None if it is not throttled."""
        reported = self.by_route.get(route, self.default)
        rate, burst = reported.get("ThrottlingRateLimit"), reported.get("ThrottlingBurstLimit")
        return None if rate is None or burst is None else Bucket(rate, burst)


def _matches(key: str, method: str, path: str) -> bool:
    if key == "$default":
        return True
    wanted, _, template = key.partition(" ")
    pattern = re.sub(r"\\\{\w+(\\\+)?\\\}", lambda found: ".+" if found[1] else "[^/]+", re.escape(template))
    return wanted in ("ANY", method) and re.fullmatch(pattern, path) is not None


def describe(client: Any, api_id: str) -> dict[str, Any]:
    """Return the settings of the deployed stage for `Settings.read`. `client` is boto3's for apigatewayv2."""
    stage = client.get_stage(ApiId=api_id, StageName="$default")
    return {
        "routes": [route["RouteKey"] for route in client.get_routes(ApiId=api_id)["Items"]],
        "default": stage.get("DefaultRouteSettings") or {},
        "by_route": stage.get("RouteSettings") or {},
        "log_format": (stage.get("AccessLogSettings") or {}).get("Format", ""),
    }


class Stage:
    """Middleware and signal of the local gateway."""

    def __init__(self, settings_file: Path, access_log: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._log, self._clock = settings_file, access_log, clock
        self._read_at: int | None = None
        self._settings = Settings()
        self._buckets: dict[str, Bucket | None] = {}

    def settings(self) -> Settings:
        """Return the current settings. A deployment may change them."""
        written = self._file.stat().st_mtime_ns if self._file.exists() else None
        if written != self._read_at:
            self._settings = Settings() if written is None else Settings.read(self._file)
            self._read_at, self._buckets = written, {}
        return self._settings

    def install(self, app: web.Application) -> None:
        app.middlewares.append(self._middleware())
        app.on_response_prepare.append(_name_request)

    def _middleware(self) -> Any:
        @web.middleware
        async def at_the_stage(request: web.Request, handler: Handler) -> web.StreamResponse:
            settings, began = self.settings(), self._clock()
            route = settings.route_of(request.method, request.path)
            request[REQUEST_ID] = str(uuid.uuid4())
            if route is not None and not self._admits(settings, route, began):
                response: web.StreamResponse = web.json_response({"message": "Too Many Requests"}, status=429)
            else:
                response = await handler(request)
            if settings.log_format:
                took = round((self._clock() - began) * 1000)
                self._write(settings.log_format, context_of(request, response, route, took))
            return response

        return at_the_stage

    def _admits(self, settings: Settings, route: str, now: float) -> bool:
        if route not in self._buckets:
            self._buckets[route] = settings.bucket_of(route)
        bucket = self._buckets[route]
        return bucket is None or bucket.admits(now)

    def _write(self, log_format: str, context: Mapping[str, str]) -> None:
        line = VARIABLE.sub(lambda found: json.dumps(context.get(found[1], NOTHING))[1:-1], log_format)
        with self._log.open("a") as out:
            out.write(line + "\n")


async def _name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Add the request's id to a response. The function uses the gateway's id."""
    response.headers[HEADER] = response.headers.get("x-request-id", request.get(REQUEST_ID, ""))


def context_of(
    request: web.Request, response: web.StreamResponse, route: str | None, milliseconds: int
) -> dict[str, str]:
    """The variables of an access log line, without those that have no value. An answer without the function's
    `x-request-id` is the gateway's own."""
    integrated = "x-request-id" in response.headers
    found = {
        "requestId": response.headers.get("x-request-id", request[REQUEST_ID]),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "routeKey": route or NOTHING,
        "status": str(response.status),
        "responseLatency": str(milliseconds),
        "identity.sourceIp": request.remote or NOTHING,
        "identity.userAgent": request.headers.get("User-Agent", NOTHING),
    }
    if integrated:
        found |= {"integrationLatency": str(milliseconds), "integration.status": str(response.status)}
        claims = _claims(request.headers.get("Authorization", ""))
        found |= {f"authorizer.claims.{name}": _text(value) for name, value in claims.items()}
    else:
        found["error.message"] = response.reason or NOTHING
        if response.status == 401:
            found["authorizer.error"] = "Unauthorized"
    return found


def _claims(authorization: str) -> Mapping[str, Any]:
    """Return the claims of a token whose signature the gateway has checked."""
    try:
        part = authorization.rpartition(" ")[2].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        # A route without an authorizer accepts any header.
        return {}
    return claims if isinstance(claims, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
