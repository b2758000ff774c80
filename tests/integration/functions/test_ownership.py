"""Ownership before effect: a call about another tenant's resource makes no outside call and changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

from recordings.adapters.dynamodb.connection import client
from recordings.adapters.dynamodb.settings import TABLE
from recordings.domain.archive import Archive
from recordings.domain.lifecycle import Status
from tests.support.builders import NOON, a_file
from tests.support.deployed import FUNCTIONS, Deployed

UNKNOWN = "rec_01KE9EDY806S2TGZ7Z3QHSBYMG"
BODIES: dict[str, list[Any]] = {
    "StartRecording": [None, {"max_duration_seconds": 60}],
    "RestoreRecording": [None, {"days": 1, "tier": "bulk"}],
}
ROUTES = {
    name: [event["Properties"] for event in body["Events"].values() if event["Type"] == "HttpApi"]
    for name, body in FUNCTIONS.items()
    if any(event["Type"] == "HttpApi" for event in body.get("Events", {}).values())
}
OF_A_RECORDING = [name for name, (route,) in ROUTES.items() if route["Path"].startswith("/api/v1/recordings/{id}")]
OF_A_ROOM = [
    name for name, (route,) in ROUTES.items() if route["Path"].startswith("/api/v1/rooms/{id}") and name != "PutRoom"
]


@pytest.fixture
def outside(app: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every call except those to our table, by its name: AWS, R2 and Cloudflare."""
    called: list[str] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def logged(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        if service != "dynamodb":
            called.append(f"{service}.{operation}")
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", logged)
    requests = app.standin.world.requests
    before = len(requests)
    yield called
    assert [one["operation"] for one in requests[before:]] == []


def rows() -> list[str]:
    """All items of the table."""
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    return sorted(json.dumps(item, sort_keys=True) for page in pages for item in page["Items"])


def of_somebody_else(app: Deployed, tenant: str) -> tuple[list[str], list[str]]:
    """The ids of another tenant's rooms, and of its recordings in every status."""
    other = f"{tenant}-other"
    rooms = [app.room(tenant_id=other, id=f"{tenant}-room-{n}").id for n in range(2)]
    facts: list[dict[str, Any]] = [
        {"status": Status.RECORDING},
        {"status": Status.PROCESSING},
        {"status": Status.READY, "file": a_file(key="file")},
        {"status": Status.FAILED},
        {
            "status": Status.ARCHIVED,
            "archived_at": NOON,
            "file": a_file(store="s3", key="vault"),
            "archive": Archive(state="stored", storage_class="GLACIER"),
        },
        {"status": Status.READY, "file": a_file(key="file"), "deleted_at": NOON},
    ]
    return rooms, [app.seed(tenant_id=other, room_id=rooms[0], **one).id for one in facts]


def test_every_route_is_tested_below() -> None:
    below = {*OF_A_RECORDING, *OF_A_ROOM, "PutRoom"}
    # These routes name no resource. The webhook has no tenant.
    assert set(ROUTES) - below == {"ListRecordings", "ListRooms", "ReceiveWebhook"}


@pytest.mark.parametrize("name", [*OF_A_RECORDING, *OF_A_ROOM])
def test_a_call_about_another_tenants_resource_calls_and_changes_nothing(
    app: Deployed, tenant: str, outside: list[str], name: str
) -> None:
    rooms, recordings = of_somebody_else(app, tenant)
    ids = [*recordings, UNKNOWN, "rec_1"] if name in OF_A_RECORDING else [*rooms, "nobodys"]
    before = rows()
    for one in ids:
        for body in BODIES.get(name, [None]):
            response = app.call(name, one, tenant=tenant, body=body)
            assert response.status == 404, (name, one, response)
    assert rows() == before
    assert outside == []


@pytest.mark.parametrize("exists", [False, True], ids=["a new room", "a room that exists"])
@pytest.mark.parametrize("released", [False, True], ids=["held", "released"])
@pytest.mark.parametrize("auto", [None, False, True])
def test_naming_another_tenants_meeting_calls_and_changes_nothing(
    app: Deployed, tenant: str, outside: list[str], exists: bool, released: bool, auto: bool | None
) -> None:
    other = app.room(tenant_id=f"{tenant}-other", meeting_id="6b0c1de0-6c1c-4d5b-9c3a-1f4b8f1f5d0e")
    if released:
        app.rooms.remove(other)
    if exists:
        app.room(tenant_id=tenant)
    before = rows()
    body = {"name": "mine", "cloudflare_meeting_id": other.meeting_id}
    response = app.call(
        "PutRoom", "room_1", tenant=tenant, body=body if auto is None else {**body, "record_on_start": auto}
    )
    assert (response.status, response.code) == (409, "meeting_in_use")
    assert rows() == before
    assert outside == []


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"scope": "recordings:none"}, id="no scope"),
        pytest.param({"tenant": ""}, id="no tenant"),
        pytest.param({"tenant": "[a b]"}, id="a list for a tenant"),
        pytest.param({"tenant": ".."}, id="a tenant that is no name"),
    ],
)
def test_a_caller_without_scope_or_tenant_reaches_nothing(
    app: Deployed, tenant: str, outside: list[str], name: str, wrong: dict[str, Any]
) -> None:
    before = rows()
    response = app.call(name, UNKNOWN, body={"name": "Room"} if name == "PutRoom" else None, **wrong)
    # A webhook is authenticated by its signature, and this one has none.
    assert response.status == (401 if name == "ReceiveWebhook" else 403)
    assert rows() == before
    assert outside == []
