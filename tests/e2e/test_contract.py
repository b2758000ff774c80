"""docs/openapi.yaml against the deployed API: generated requests, walks along its links, and every answer seen here."""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, settings
from jsonschema import Draft202012Validator, FormatChecker
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from recordings.adapters.dynamodb.queries import item_key
from recordings.adapters.dynamodb.rate_limit import KEY
from tests.e2e.conftest import Client
from tests.e2e.support import MAX_WAIT_SECONDS, a_room, in_archive, in_status, provider_recordings, until
from tests.support.description import as_sent
from tools.local import stack
from tools.local.stack_file import SCOPES

type Case = schemathesis.Case[Any]

# A caller's own file of settings must not change what is tested.
CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"deterministic": True, "database": "none", "max-examples": 25},
        # A method that a route lacks is another route to the gateway: it answers 404 and not 405.
        "phases": {"coverage": {"unexpected-methods": []}, "stateful": {"max-steps": 8}},
    }
)
DOCUMENT: dict[str, Any] = as_sent()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
# Its caller is Cloudflare, and what it is sent is tested with Cloudflare's stand-in.
CLIENTS = SCHEMA.exclude(path="/webhooks/cloudflare")
FEW = settings(
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[*HealthCheck],
)


# The local gateway refuses longer ones in words of its own, as the real one does (at 10,240 bytes with the headers).
MAX_ADDRESS = 7_000
# A cursor means nothing to who makes one up, a meeting has to exist, and offset and cursor exclude each other.
NOT_IN_THE_SCHEMA = {"cursor", "cloudflare_meeting_id", "offset"}


@schemathesis.check
def names_the_request(ctx: CheckContext, response: schemathesis.Response, case: Case) -> None:
    """Whatever is not the gateway's own answer has an id, the same in a problem document."""
    if (kind := response.headers["content-type"][0]) == "application/json" and response.status_code >= 400:
        return
    (request_id,) = response.headers["x-request-id"]
    assert request_id
    if kind == "application/problem+json":
        problem = response.json()
        assert problem["status"] == response.status_code
        # A repeat with a key is given the first answer, which names the first request.
        assert problem["request_id"] == request_id or "Idempotency-Key" in case.headers


@schemathesis.check
def takes_what_fits(ctx: CheckContext, response: schemathesis.Response, case: Case) -> None:
    """What fits the schemas is not called invalid; that the state does not allow it is another matter."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in {400, 413, 422}:
        return
    if isinstance(case.body, dict) and any(isinstance(value, float) for value in case.body.values()):
        # To JSON Schema 8.0 is an integer; the contract takes no floats.
        return
    problem = response.json()
    assert problem["code"] not in {"body_too_large", "idempotency_key_reused"}, problem
    given_both = {"cursor", "offset"} <= (case.query or {}).keys()
    assert given_both or {error["field"] for error in problem.get("errors", [])} <= NOT_IN_THE_SCHEMA, problem


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    names_the_request,
    takes_what_fits,
]


def prepared(case: Case) -> Case:
    """The case with a key that no request before it had, if its address fits into a request line."""
    assume(len(urlencode({**(case.path_parameters or {}), **(case.query or {})}, doseq=True)) < MAX_ADDRESS)
    key = case.headers.get("Idempotency-Key")
    if case.meta is not None and case.meta.generation.mode.is_positive and isinstance(key, str):
        case.headers["Idempotency-Key"] = f"{key[:90]}-{uuid.uuid4().hex}"
    return case


def headers_of(running: dict[str, Any]) -> dict[str, str]:
    """The token of a tenant that nobody has been yet."""
    return {"Authorization": f"Bearer {stack.token(running, f'contract-{uuid.uuid4().hex[:8]}')}"}


@pytest.fixture(scope="module")
def headers(running: dict[str, Any]) -> dict[str, str]:
    """A tenant for generated requests alone."""
    return headers_of(running)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture(scope="module")
def refill(running: dict[str, Any]) -> Callable[[], None]:
    """Gives the deployment its budget of calls to Cloudflare back: these tests make more of them than a minute has."""
    table = stack.client(running, "dynamodb")
    (name,) = table.list_tables()["TableNames"]
    return lambda: table.delete_item(TableName=name, Key=item_key(*KEY))


@pytest.fixture(autouse=True)
def budget(refill: Callable[[], None]) -> Iterator[None]:
    refill()
    yield
    refill()


def generated(label: str) -> Callable[..., None]:
    """Make the test of one operation."""

    @CLIENTS.include(name=label).parametrize()
    @FEW
    def test(
        case: Case,
        running: dict[str, Any],
        headers: dict[str, str],
        session: requests.Session,
        refill: Callable[[], None],
    ) -> None:
        refill()
        prepared(case).call_and_validate(
            base_url=running["api_url"], session=session, headers=headers, checks=CHECKS, timeout=MAX_WAIT_SECONDS
        )

    made: Callable[..., None] = test
    return made


# A test of its own for each operation: schemathesis gives all operations of one test the same id, and xdist runs one
# test of each id.
LABELS = [found.ok().label for found in CLIENTS.get_all_operations() if isinstance(found, Ok)]
for _label in LABELS:
    _words = re.sub(r"\W+", "_", _label.replace("/api/v1", "")).strip("_").lower()
    globals()[f"test_generated_requests_to_{_words}_are_answered_as_documented"] = generated(_label)


class LinkedWalk(CLIENTS.as_state_machine()):  # type: ignore[misc]  # made at runtime
    """A state machine whose drawn ids exist, because schemathesis starts most walks at a POST with a random id.

    A random id is a 404, and no link leads on from there. Whether a walk arrived anywhere was luck: it depended on a
    draw of a list without a cursor, and any change of the document changed the draws.
    """

    recording_id: str

    def before_call(self, case: Case) -> None:
        body: Any = prepared(case).body
        if isinstance(body, dict) and body.get("cloudflare_meeting_id"):
            # Cloudflare has no meeting with a random id.
            body["cloudflare_meeting_id"] = None
        linked = self.recorder.cases[case.id].is_transition_applied
        # A negative case may be negative because of its id. A PUT creates its room.
        negative = case.meta is None or not case.meta.generation.mode.is_positive
        if not linked and not negative and case.method != "PUT" and "id" in case.path_parameters:
            case.path_parameters["id"] = "room_1" if case.path.startswith("/api/v1/rooms/") else self.recording_id


def test_walks_along_the_links_are_answered_as_documented(
    running: dict[str, Any], session: requests.Session, refill: Callable[[], None]
) -> None:
    class Walk(LinkedWalk):
        def setup(self) -> None:
            # A tenant of its own, because what one walk leaves behind changes the next.
            self.headers = headers_of(running)
            refill()
            with httpx.Client(
                base_url=f"{running['api_url']}/api/v1", headers=self.headers, timeout=MAX_WAIT_SECONDS
            ) as api:
                a_room(api)
                started = api.post("/rooms/room_1/recordings/start")
                assert started.status_code == 201
                self.recording_id = started.json()["data"]["id"]
                assert api.post("/rooms/room_1/recordings/stop").status_code == 200

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {
                "base_url": running["api_url"],
                "session": session,
                "headers": self.headers,
                "timeout": MAX_WAIT_SECONDS,
            }

        def after_call(self, response: schemathesis.Response, case: Case) -> None:
            super().after_call(response, case)
            if response.status_code < 400:
                succeeded[case.operation.label] += 1
                followed[case.operation.label] += self.recorder.cases[case.id].is_transition_applied

        def validate_response(self, response: Any, case: Case, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS, headers=self.headers, transport_kwargs=kwargs)

    succeeded: Counter[str] = Counter()
    followed: Counter[str] = Counter()
    Walk.run(settings=settings(FEW, max_examples=10, stateful_step_count=8))

    assert len(succeeded) >= 8, succeeded
    assert len(+followed) >= 6, followed


# ---------------------------------------------------------------- Every answer of a whole life


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    if "$ref" not in part:
        return part
    found: Any = DOCUMENT
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return resolved(found)


def operation_of(method: str, path: str) -> dict[str, Any]:
    """The operation that a request is for."""
    for template, methods in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"{method} {path} is not documented")


def conforms(response: httpx.Response) -> tuple[str, int]:
    """Hold an answer against the document; gives the operation and the status."""
    response.read()
    operation = operation_of(response.request.method, response.request.url.path)
    reported = operation["responses"].get(str(response.status_code))
    assert reported, f"{operation['operationId']} does not document {response.status_code}: {response.text}"
    received = resolved(reported)
    media = received["content"].get(response.headers["content-type"])
    assert media, f"{operation['operationId']} {response.status_code} is {response.headers['content-type']}"
    schema = {"components": DOCUMENT["components"], **media["schema"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(response.json())
    for name, header in received.get("headers", {}).items():
        assert name in response.headers or not resolved(header).get("required"), (operation["operationId"], name)
    if response.headers["content-type"] == "application/problem+json":
        assert response.json()["request_id"] == response.headers["X-Request-Id"]
        assert response.status_code != 503 or int(response.headers["Retry-After"]) >= 0
    return operation["operationId"], response.status_code


@pytest.fixture(scope="module")
def seen() -> set[tuple[str, int]]:
    """Operations and statuses that the tests of this module have met."""
    return set()


@pytest.fixture
def watched(client: Client, seen: set[tuple[str, int]]) -> Callable[..., httpx.Client]:
    """Makes clients whose every answer is held against the document."""

    def make(**of: str) -> httpx.Client:
        made = client(**of)
        made.event_hooks["response"].append(lambda response: seen.add(conforms(response)))
        return made

    return make


def test_a_whole_life_is_answered_as_documented(watched: Callable[..., httpx.Client], cloudflare: httpx.Client) -> None:
    api, key = watched(scope=SCOPES), {"Idempotency-Key": "first"}
    meeting_id = a_room(api)["cloudflare_meeting_id"]
    assert api.put("/rooms/room_1", json={"name": "CS101", "record_on_start": False}).status_code == 200
    api.get("/rooms")
    api.get("/rooms/room_1")
    recording_id = api.post("/rooms/room_1/recordings/start", headers=key).json()["data"]["id"]
    path = f"/recordings/{recording_id}"
    assert api.post("/rooms/room_1/recordings/start", headers=key).status_code == 201
    assert api.post("/rooms/room_1/recordings/stop", headers=key).status_code == 422
    assert api.post("/rooms/room_1/recordings/start").status_code == 409
    assert api.delete("/rooms/room_1").status_code == 409
    assert api.delete(path).status_code == 409
    assert api.get(f"{path}/download").status_code == 202
    assert api.post(f"{path}/recover").status_code == 400
    until(lambda: provider_recordings(cloudflare, meeting_id)[0]["status"] == "RECORDING")
    assert api.post("/rooms/room_1/recordings/stop").status_code == 200
    api.post(f"{path}/recover")
    in_status(api, recording_id, "ready")
    assert api.get(f"{path}/download").status_code == 200
    assert len(api.get(f"{path}/access").json()["data"]) == 1
    page = api.get("/recordings", params={"limit": 1, "status": ["ready", "failed"], "room_id": "room_1"})
    assert page.json()["meta"]["total"] == 1
    assert api.get("/recordings", params={"cursor": "made up"}).status_code == 400
    assert api.post("/rooms/room_1/recordings/sync").status_code == 200
    assert api.post(f"{path}/restore").status_code == 400
    assert api.post(f"{path}/archive").status_code == 200
    assert api.post(f"{path}/archive").status_code == 400
    in_archive(api, recording_id, "stored")
    assert api.get(f"{path}/download").status_code == 202
    assert api.post(f"{path}/restore", json={"days": 1, "tier": "bulk"}).status_code == 202
    api.get(f"{path}/download")
    assert api.delete(path).status_code == 200
    assert api.get(path).status_code == 404
    assert api.post(f"{path}/undelete").status_code == 200
    assert api.put("/rooms/room_1", json={"name": "CS102"}).status_code == 200
    assert api.delete("/rooms/room_1").status_code == 200
    # A room that has been deleted keeps its last name here.
    assert api.get(path).json()["data"]["room"] == {"id": "room_1", "name": "CS102"}


def test_what_is_refused_is_answered_as_documented(
    watched: Callable[..., httpx.Client], running: dict[str, Any]
) -> None:
    api, reader = watched(scope=SCOPES), watched(scope="recordings:read recordings:audit")
    nobody = watched()
    del nobody.headers["Authorization"]
    calls = [
        (method.upper(), path.removeprefix("/api/v1").replace("{id}", "unknown"), method != "get")
        for path, methods in DOCUMENT["paths"].items()
        if path.startswith("/api")
        for method in methods
    ]
    nameless = watched()
    claims = {"scope": SCOPES, "claims": {"tenant_id": None}}
    token = httpx.post(f"{running['issuer']}/token", json=claims, timeout=MAX_WAIT_SECONDS).json()["access_token"]
    nameless.headers["Authorization"] = f"Bearer {token}"
    for method, path, writes in calls:
        assert nameless.request(method, path).json()["code"] == "tenant_missing"
        assert nobody.request(method, path).status_code == 401
        assert not writes or reader.request(method, path).status_code == 403
        assert api.request(method, path, params={"typo": 1}).status_code == 400
        if method != "GET":
            assert api.request(method, path, content=b" " * 65_537).status_code == 413


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "answer", "status": 500}, 502),
        ({"kind": "answer", "status": 504}, 504),
        ({"kind": "answer", "status": 429, "retry_after": 2}, 503),
    ],
)
def test_trouble_at_cloudflare_is_answered_as_documented(
    watched: Callable[..., httpx.Client],
    cloudflare: httpx.Client,
    refill: Callable[[], None],
    fault: dict[str, Any],
    status: int,
) -> None:
    api = watched()
    meeting_id = a_room(api)["cloudflare_meeting_id"]

    # Not to runs that other tests have left: they would block the calls of all once more, after the fault is gone.
    for where in ({"on": "any", "meeting_id": meeting_id}, {"on": "create_meeting"}):
        assert cloudflare.post("/faults", json={**where, **fault}).is_success

    for path in ("/rooms/room_1/recordings/start", "/rooms/room_1/recordings/stop", "/rooms/room_1/recordings/sync"):
        assert api.post(path).status_code == status, path
    assert api.put("/rooms/room_2", json={"name": "x"}).status_code == status


def test_a_lost_recording_is_answered_as_documented(
    watched: Callable[..., httpx.Client], cloudflare: httpx.Client
) -> None:
    api = watched()
    meeting_id = a_room(api)["cloudflare_meeting_id"]
    assert cloudflare.post("/recordings", json={"meeting_id": meeting_id, "status": "ERRORED"}).is_success

    (lost,) = api.post("/rooms/room_1/recordings/sync").json()["data"]["recordings"]

    in_status(api, lost["id"], "failed")
    assert api.get(f"/recordings/{lost['id']}/download").status_code == 409


def test_every_success_has_been_met(seen: set[tuple[str, int]]) -> None:
    if len({operation for operation, _ in seen}) < 10:
        pytest.skip("the tests before this one have not run")
    documented = {
        (operation["operationId"], int(status))
        for path, methods in DOCUMENT["paths"].items()
        if path.startswith("/api")
        for operation in methods.values()
        for status in operation["responses"]
        if int(status) < 400
    }
    assert documented - seen == set()
