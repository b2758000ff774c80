"""Every change, and every download URL that is given out, belongs to an actor."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from recordings.adapters.dynamodb import actors
from recordings.adapters.dynamodb.access_log import DynamoAccessLog
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.domain.actor import system
from recordings.domain.errors import InfrastructureError, RecordingNotFound, Throttled
from recordings.domain.lifecycle import Status
from recordings.http.endpoint import CONTRACT
from recordings.workflow.task import PART
from tests.integration.functions.test_ownership import OF_A_RECORDING, OF_A_ROOM, ROUTES, rows
from tests.support.builders import NOON, a_file, a_recording
from tests.support.deployed import FUNCTIONS, Deployed

PARTS = {
    "ReceiveWebhook": "webhook",
    "BeginSync": "sync",
    "ScanProviderRecordings": "sync",
    "ReconcileBatch": "sync",
    "EndSync": "sync",
    "AuditStorage": "audit",
    "PurgeRecording": "retention",
}
READING = {"GetRecording", "GetRoom", "ListRecordings", "ListRooms", "ListAccess"}
ACTING = [name for name in [*OF_A_RECORDING, *OF_A_ROOM, "PutRoom"] if name not in READING]
BODIES = {"PutRoom": {"name": "mine"}}


def actor_of(handler: Any) -> str:
    contract = getattr(handler, CONTRACT, None)
    return str(contract.actor if contract is not None else getattr(handler, PART))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_acts_as_its_caller_or_as_its_part_of_the_system(app: Deployed, name: str) -> None:
    wanted = "optional" if name in READING else "caller" if name in ROUTES else "workflow"
    assert actor_of(app.handler(name)) == PARTS.get(name, wanted)


@pytest.mark.parametrize("name", sorted(READING))
def test_a_function_that_needs_no_actor_may_not_write(name: str) -> None:
    assert [str(policy) for policy in FUNCTIONS[name]["Policies"]] == ["{'Ref': 'ReadRecordings'}"]


@pytest.mark.parametrize("name", ACTING)
@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": "a\nb"}, {"sub": "a" * 257, "client_id": ""}], ids=str)
def test_a_token_that_names_nobody_changes_nothing_and_gets_nothing(
    app: Deployed, tenant: str, name: str, claims: Mapping[str, str]
) -> None:
    room = app.room(tenant_id=tenant)
    recording = app.seed(tenant_id=tenant, room_id=room.id, status=Status.READY, file=a_file(key="file"))
    before, calls = rows(), len(app.standin.world.requests)
    id = recording.id if name in OF_A_RECORDING else room.id
    response = app.call(name, id, tenant=tenant, body=BODIES.get(name), claims=claims)
    assert (response.status, response.code) == (403, "actor_missing")
    assert (rows(), len(app.standin.world.requests)) == (before, calls)


def test_a_change_without_an_actor_is_not_stored(app: Deployed, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY)
    monkeypatch.setattr(actors, "NOBODY", None)
    recordings, before = DynamoRecordings(), rows()
    with pytest.raises(InfrastructureError):
        recordings.save(recording, recording.archiving(at=NOON))
    with pytest.raises(InfrastructureError):
        recordings.add(a_recording(tenant_id=tenant, id="rec_01KE9EDY806S2TGZ7Z3QHSBYMG"), lease_nonce=None)
    assert rows() == before


def test_the_history_shows_who_started_and_stopped(app: Deployed, tenant: str) -> None:
    room = app.room(tenant_id=tenant)
    started = app.call("StartRecording", room.id, tenant=tenant, claims={"sub": "alice", "client_id": "classroom"})
    id = started.data["id"]
    app.call("StopRecording", room.id, tenant=tenant, claims={"sub": "bob", "azp": "desk"})
    history = app.call("GetRecording", id, tenant=tenant).data["history"]
    assert [(one["status"], one["actor"]) for one in history] == [
        ("recording", {"type": "user", "id": "alice", "client_id": "classroom"}),
        ("processing", {"type": "user", "id": "bob", "client_id": "desk"}),
    ]
    stored = DynamoRecordings().get(tenant, id).changed_by
    assert stored is not None
    assert (stored.id, stored.client_id) == ("bob", "desk")
    assert stored.request_id is not None


def test_a_program_without_a_user_acts_as_its_client(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY)
    assert app.call("DeleteRecording", recording.id, tenant=tenant, claims={"client_id": "cron"}).status == 200
    changed_by = DynamoRecordings().get_including_deleted(tenant, recording.id).changed_by
    assert changed_by is not None
    assert (changed_by.type, changed_by.id, changed_by.client_id) == ("user", "cron", "cron")


def test_the_workflow_is_the_actor_of_what_it_stores(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.PROCESSING)
    failed = recording.failed(recording_failure(), at=NOON, cause="file_expired")
    assert DynamoRecordings().save(recording, failed).history[-1].actor == system("workflow")


def recording_failure() -> Any:
    failure = a_recording(status=Status.FAILED).failure
    assert failure is not None
    return failure


# ---------------------------------------------------------------- the access log


def accesses(app: Deployed, recording_id: str, tenant: str, query: str = "") -> dict[str, Any]:
    response = app.call("ListAccess", recording_id, tenant=tenant, query=query)
    assert response.status == 200, response
    return response.body


def test_the_access_log_shows_who_was_given_a_url(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY, file=a_file(key="file"))
    given = app.call("DownloadRecording", recording.id, tenant=tenant, claims={"sub": "alice", "client_id": "web"})
    (entry,) = accesses(app, recording.id, tenant)["data"]
    assert entry["actor"] == {"type": "user", "id": "alice", "client_id": "web"}
    assert entry["expires_at"] == given.body["expires_at"]
    assert (entry["provider"], entry["request_id"]) == ("r2", given.headers["x-request-id"])


def test_what_gives_no_url_is_not_in_the_access_log(app: Deployed, tenant: str) -> None:
    processing = app.seed(tenant_id=tenant, status=Status.PROCESSING)
    failed = app.seed(tenant_id=tenant, status=Status.FAILED)
    for one in (processing, failed):
        app.call("DownloadRecording", one.id, tenant=tenant)
        assert accesses(app, one.id, tenant)["data"] == []


def test_no_url_is_given_out_that_the_log_does_not_hold(
    app: Deployed, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY, file=a_file(key="file"))

    def busy(*_: object, **__: object) -> None:
        raise Throttled("the table is busy", retry_after=1)

    monkeypatch.setattr(DynamoAccessLog, "note", busy)
    response = app.call("DownloadRecording", recording.id, tenant=tenant)
    assert response.status == 503
    assert "http" not in json.dumps(response.body)


def test_the_access_log_comes_in_pages_the_latest_first(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY, file=a_file(key="file"))
    other = app.seed(tenant_id=tenant, status=Status.READY, file=a_file(key="file"))
    app.call("DownloadRecording", other.id, tenant=tenant)
    for n in range(5):
        app.call("DownloadRecording", recording.id, tenant=tenant, claims={"sub": f"user-{n}"})
    found: list[dict[str, Any]] = []
    query = "limit=2"
    for size in (2, 2, 1):
        page = accesses(app, recording.id, tenant, query)
        assert len(page["data"]) == size
        found += page["data"]
        query = f"limit=2&cursor={page['meta']['next_cursor']}"
    assert page["meta"] == {"limit": 2, "next_cursor": None}
    assert sorted(one["actor"]["id"] for one in found) == [f"user-{n}" for n in range(5)]
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)


@pytest.mark.parametrize("cursor", ["x", "cmVjXzAxS0U5RURZODA2UzJUR1o3WjNRSFNCWU1H", "YWNjZXNzLzIwMjYtMDEtMDY"])
def test_a_cursor_of_another_list_is_refused(app: Deployed, tenant: str, cursor: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY)
    response = app.call("ListAccess", recording.id, tenant=tenant, query=f"cursor={cursor}")
    assert (response.status, response.code) == (400, "invalid_request")


def test_reading_the_access_log_takes_its_own_scope(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY)
    response = app.call("ListAccess", recording.id, tenant=tenant, scope="recordings:read recordings:write")
    assert (response.status, response.code) == (403, "scope_missing")


def test_the_log_of_a_deleted_recording_is_not_found(app: Deployed, tenant: str) -> None:
    recording = app.seed(tenant_id=tenant, status=Status.READY, file=a_file(key="file"))
    app.call("DownloadRecording", recording.id, tenant=tenant)
    app.call("DeleteRecording", recording.id, tenant=tenant)
    assert app.call("ListAccess", recording.id, tenant=tenant).status == 404
    with pytest.raises(RecordingNotFound):
        DynamoRecordings().get(tenant, recording.id)
    app.call("UndeleteRecording", recording.id, tenant=tenant)
    assert len(accesses(app, recording.id, tenant)["data"]) == 1
