"""Cloudflare's calls are shared: a tenant that has used its share harms nobody else, and nobody stops a stop."""

import time
from collections.abc import Iterator

import httpx
import pytest

from recordings.adapters.dynamodb.queries import item_key
from recordings.adapters.dynamodb.rate_limit import KEY, item_of, part_of
from recordings.domain.fair_share import CALL, TICK_SECONDS, Shares, Usage, allowed
from tests.e2e.conftest import Client, calm
from tests.e2e.support import Json, a_room, start, stop, sync, until
from tools.local import deployment, stack
from tools.local import template as sam


@pytest.fixture
def shares(running: Json) -> Shares:
    """As the stack is deployed."""
    template = sam.read(stack.ROOT / "template.yaml")
    values = {**sam.defaults(template), **deployment.parameters_of(running, template)}
    return Shares(
        calls_per_minute=int(values["CloudflareCallsPerMinute"]),
        stop_reserve_percent=int(values["StopReservePercent"]),
        tenant_percent=int(values["TenantSharePercent"]),
        workflow_percent=int(values["WorkflowSharePercent"]),
        sync_percent=int(values["SyncSharePercent"]),
    )


@pytest.fixture(autouse=True)
def budget(running: Json, cloudflare: httpx.Client) -> Iterator[None]:
    calm(running, cloudflare)
    yield
    calm(running, cloudflare)


def use(running: Json, shares: Shares, parts: dict[str, int]) -> None:
    """Let the bucket hold so many calls of these parts."""
    usage = Usage(int(time.time() // TICK_SECONDS), {part: calls * CALL for part, calls in parts.items()})
    table, item = running["tables"]["Table"], item_of(usage, shares).serialize()
    stack.client(running, "dynamodb").put_item(TableName=table, Item=item)


def used(running: Json) -> dict[str, int]:
    """The parts of the bucket, in thousandths of a call."""
    table = running["tables"]["Table"]
    client, key = stack.client(running, "dynamodb"), item_key(*KEY)
    item = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    return {part: int(held["N"]) for part, held in item.get("parts", {"M": {}})["M"].items()}


def refused(response: httpx.Response, code: str) -> int:
    """The seconds after which a refused call is to be made again."""
    assert (response.status_code, response.json()["code"]) == (503, code), response.text
    return int(response.headers["retry-after"])


def test_a_tenant_that_has_used_its_share_is_told_so_and_nobody_else_is_harmed(
    running: Json, client: Client, api: httpx.Client, tenant: str, shares: Shares
) -> None:
    stranger = client(of=f"other-{tenant}")
    for one in (api, stranger):
        a_room(one)
    start(api)
    a_room(api, "room_2")
    # So many that the share is free again within two ticks, and not before one is over.
    half = allowed(Usage(0), "interactive", shares) // CALL // 2
    use(running, shares, {part_of(tenant): half + shares.per_tick * 3 // 2 // CALL})
    reported = [
        refused(api.post("/rooms/room_2/recordings/start"), "tenant_throttled"),
        refused(api.post("/rooms/room_2/recordings/sync"), "tenant_throttled"),
        refused(api.put("/rooms/room_3", json={"name": "Room"}), "tenant_throttled"),
    ]
    answered = time.monotonic()
    assert all(1 <= seconds <= 2 * TICK_SECONDS for seconds in reported), reported
    # It stops what it records all the same, and the others do as they like.
    stop(api)
    start(stranger)
    sync(stranger)
    a_room(stranger, "room_2")
    stop(stranger)
    # What was promised is true, and nothing is half done: the very same call starts the room.
    calls: list[float] = []

    def made() -> httpx.Response | None:
        calls.append(time.monotonic())
        return _unless(503, api.post("/rooms/room_2/recordings/start"))

    response = until(made)
    assert response is not None
    assert response.status_code == 201, response.text
    # A call that began later than promised was not refused. The clock may have been at any part of a second, and the
    # refusals took time.
    assert all(began - answered < reported[0] + 2 for began in calls[:-1])
    stop(api, "room_2")


def _unless(status: int, response: httpx.Response) -> httpx.Response | None:
    return None if response.status_code == status else response


def test_when_everybody_together_has_used_all_only_stops_go_through(
    running: Json, api: httpx.Client, shares: Shares
) -> None:
    a_room(api)
    start(api)
    # All but a hundred calls, by many: what drains in a tick does not reach below the reserve.
    taken = shares.limit("stop") // CALL - 100
    use(running, shares, {f"other-{n}": taken // 10 for n in range(10)})
    seconds = refused(api.post("/rooms/room_1/recordings/sync"), "provider_throttled")
    assert 1 <= seconds <= 2 * TICK_SECONDS
    stop(api)


def test_a_flood_at_the_webhook_takes_nothing_from_tenants(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, tenant: str
) -> None:
    room = a_room(api)
    before = used(running).get(part_of(tenant), 0)
    news = {
        "event": "recording.statusUpdate",
        "recording": {"id": "unknown", "recordingId": "unknown", "status": "UPLOADED"},
        "meeting": {"id": room["cloudflare_meeting_id"]},
        "mark": tenant,
    }
    for how in ({"unsigned": True}, {"forged": True}, {}):
        for _ in range(3):
            cloudflare.post("/webhooks/forge", json={"body": news, **how}).raise_for_status()

    def answered() -> list[int]:
        reported = [one["answers"] for one in cloudflare.get("/deliveries").json()["data"] if tenant in one["body"]]
        return sorted(responses[-1] for responses in reported) if len(reported) == 9 and all(reported) else []

    # What is signed is asked after at Cloudflare, on the webhooks' own account.
    assert until(answered) == [200] * 3 + [401] * 6
    parts = used(running)
    assert parts.get(part_of(tenant), 0) <= before
    assert parts["webhook"] > 0
