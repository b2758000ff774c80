"""What an operator sees of the deployed stack: access log, log lines with ids, log levels, throttling."""

import json
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.e2e.support import Json, a_room, until
from tools.local import stack

NOBODY = "rec_01JZZZZZZZZZZZZZZZZZZZZZZZ"


def access_log(running: Json) -> list[dict[str, str]]:
    path = stack.folder(running["name"]) / "access.log"
    return [json.loads(line) for line in path.read_text().splitlines()]


def line_of(running: Json, response: httpx.Response) -> dict[str, str]:
    """The access log's line of an answer; the gateway writes it after the answer."""
    wanted = response.headers["apigw-requestid"]
    (line,) = until(lambda: [one for one in access_log(running) if one["requestId"] == wanted], seconds=10)
    return line


def lines_of(running: Json, request_id: str) -> list[Json]:
    """The functions' lines about a request."""
    messages = [line.partition("  ")[2] for line in stack.logs(running["name"])]
    parsed = [json.loads(message) for message in messages if message.startswith("{")]
    return [line for line in parsed if line.get("correlation_id") == request_id]


def test_each_answer_has_a_line_with_route_status_and_caller(running: Json, client: Client, tenant: str) -> None:
    reader = client(scope="recordings:read")
    served = line_of(running, reader.get("/rooms"))
    assert (served["routeKey"], served["status"], served["tenant"]) == ("GET /api/v1/rooms", "200", tenant)
    assert served["sub"] not in ("", "-")
    assert int(served["latency"]) >= 0
    refused = line_of(running, reader.put("/rooms/room_1", json={"name": "x"}))
    assert (refused["routeKey"], refused["status"]) == ("PUT /api/v1/rooms/{id}", "403")
    # Nobody is named whose token was not accepted; the gateway's own answers leave a line all the same.
    base = running["api_url"]
    unknown = line_of(running, httpx.get(f"{base}/api/v1/rooms", headers={"Authorization": "Bearer no"}))
    assert (unknown["status"], unknown["tenant"], unknown["error"]) == ("401", "-", "Unauthorized")
    nowhere = line_of(running, httpx.get(f"{base}/nowhere"))
    assert (nowhere["status"], nowhere["routeKey"]) == ("404", "-")


def test_a_callers_request_id_leads_to_lines_that_name_tenant_and_recording(
    running: Json, api: httpx.Client, tenant: str
) -> None:
    response = api.get(f"/recordings/{NOBODY}")
    assert response.status_code == 404
    assert response.headers["x-request-id"] == response.headers["apigw-requestid"]
    (line,) = until(lambda: lines_of(running, response.headers["x-request-id"]), seconds=10)
    assert (line["message"], line["tenant_id"], line["recording_id"]) == ("refused", tenant, NOBODY)
    room = api.get("/rooms/no-such-room")
    (line,) = until(lambda: lines_of(running, room.headers["x-request-id"]), seconds=10)
    assert (line["room_id"], "recording_id" in line) == ("no-such-room", False)


@pytest.mark.parametrize(("level", "shown"), [("INFO", True), ("ERROR", False)])
def test_a_level_hides_lines_and_never_metrics(running: Json, level: str, shown: bool) -> None:
    """The published version stays: only $LATEST, which nobody else calls, has another level for a moment."""
    functions = stack.client(running, "lambda")
    name = running["functions"]["GetRecording"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    event = json.loads((stack.ROOT / "events" / "get_recording.json").read_text())
    event["pathParameters"]["id"] = NOBODY
    event["requestContext"]["requestId"] = f"level-{level}"
    try:
        changed = {**before, "POWERTOOLS_LOG_LEVEL": level}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
        response = json.loads(functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())["Payload"].read())
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})
    assert response["statusCode"] == 404

    def metrics() -> list[Any]:
        return [line for line in stack.logs(running["name"], "GetRecording") if '"ColdStart":[1' in line]

    assert until(metrics, seconds=10)
    assert bool(lines_of(running, f"level-{level}")) == shown


def test_the_gateway_enforces_the_settings_of_the_deployed_stage(running: Json) -> None:
    """What they do is tested without a stack; here, that the deployed stage has them."""
    reported = json.loads((stack.folder(running["name"]) / "stage.json").read_text())
    assert reported["default"].keys() >= {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert reported["by_route"]["POST /webhooks/cloudflare"]["ThrottlingRateLimit"] > 0
    assert "POST /webhooks/cloudflare" in reported["routes"]


def test_a_schedule_has_a_dead_letter_queue_that_its_role_may_send_to(running: Json) -> None:
    scheduler, queues = stack.client(running, "scheduler"), stack.client(running, "sqs")
    known = {url.rsplit("/", 1)[1] for url in queues.list_queues()["QueueUrls"]}
    schedules = scheduler.list_schedules()["Schedules"]
    assert len(schedules) == 3
    for one in schedules:
        target = scheduler.get_schedule(Name=one["Name"], GroupName=one["GroupName"])["Target"]
        assert one["GroupName"].endswith("-schedules")
        assert target["DeadLetterConfig"]["Arn"].rsplit(":", 1)[1] in known
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_a_request_that_makes_metrics_names_its_tenant_in_their_line(
    running: Json, api: httpx.Client, tenant: str
) -> None:
    a_room(api)
    lines = until(lambda: [line for line in stack.logs(running["name"]) if '"_aws"' in line and tenant in line])
    reported = json.loads(lines[-1].partition("  ")[2])
    assert reported["CloudflareCalls"][0] >= 1
    assert reported["tenant_id"] == tenant
