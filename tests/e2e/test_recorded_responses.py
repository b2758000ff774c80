"""HTTP responses of the deployed API, byte for byte as they are recorded in tests/data/recorded_responses.jsonl.

Ids, times, cursors, URLs and the sentences about invalid input have placeholders. Everything else is compared: status,
headers, field names and their order, spaces and escapes. If a response changes on purpose, record again and read the
difference: `make record-responses`.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.e2e.conftest import calm
from tests.e2e.recorded_requests import GROUPS, ROUTES, Player
from tests.e2e.support import MAX_WAIT_SECONDS, lose_unfinished

type Json = dict[str, Any]

FILE: Final = Path(__file__).parents[1] / "data/recorded_responses.jsonl"
RECORD: Final = os.environ.get("RECORD_RESPONSES") == "1"


# By group and label.
type Responses = dict[str, dict[str, Json]]


@pytest.fixture(scope="module")
def sent(running: Json) -> Iterator[Responses]:
    """The responses of this run."""
    found: Responses = {}
    with (
        httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as cloudflare,
        Player(running, cloudflare) as play,
    ):
        try:
            for group in GROUPS:
                group(play)
                found[group.__name__], play.responses = play.responses, {}
            yield found
        finally:
            calm(running, cloudflare)
            lose_unfinished(cloudflare)


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest) -> Responses:
    """The responses in the file. With RECORD_RESPONSES=1 those of this run are written to it first."""
    if RECORD:
        rows = [
            {"group": group, "request": label, **response}
            for group, responses in request.getfixturevalue("sent").items()
            for label, response in responses.items()
        ]
        FILE.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")
    found: Responses = {}
    for line in FILE.read_text("utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row.pop("group"), {})[row.pop("request")] = row
    return found


@pytest.mark.parametrize("group", [group.__name__ for group in GROUPS])
def test_responses_are_those_recorded(sent: Responses, recorded: Responses, group: str) -> None:
    different = {
        label: {"recorded": response, "sent": sent[group].get(label)}
        for label, response in recorded[group].items()
        if sent[group].get(label) != response
    }
    assert not different, json.dumps(different, indent=1, ensure_ascii=False)
    assert sent[group].keys() == recorded[group].keys()


def test_the_record_covers_every_route_and_every_kind_of_response(recorded: Responses) -> None:
    labels = [label for responses in recorded.values() for label in responses]
    statuses = {response["status"] for responses in recorded.values() for response in responses.values()}
    assert len(labels) >= 300
    assert statuses >= {200, 201, 202, 400, 401, 403, 404, 409, 413, 422, 502, 503, 504}
    for route in ROUTES:
        line = re.escape(route).replace(r"\{id\}", "[^/?]+")
        good = [
            label
            for responses in recorded.values()
            for label, response in responses.items()
            if re.match(rf"{line}(\?| \||$)", label) and response["status"] < 300
        ]
        assert good, route
