"""One local stack for all end-to-end tests: the deployed template, over HTTP."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.callers import transport
from tests.e2e.support import MAX_WAIT_SECONDS
from tools.local import mappings, stack

# Each process of the run has a stack of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
NAME = f"e2e-{WORKER}" if WORKER else "e2e"
# Files that take longest begin first, so that no process works alone at the end.
LONGEST = (
    "test_histories.py",
    "test_deployments.py",
    "test_processing.py",
    "test_main_job.py",
    "test_sync.py",
    "test_transfer_faults.py",
    "test_large_files.py",
    "test_admission.py",
    "test_concurrency.py",
    "test_documented.py",
    "test_recorded_responses.py",
)


@pytest.fixture(scope="session")
def running() -> Iterator[dict[str, Any]]:
    started = stack.up(NAME)
    try:
        stop_the_clock(started)
        yield started
    finally:
        stack.down(NAME)


@pytest.fixture(scope="module")
def unfiltered(running: dict[str, Any]) -> Iterator[None]:
    """From its first use to the end of the module the functions see every record, and prove their right."""
    with mappings.unfiltered(running):
        yield


def stop_the_clock(running: dict[str, Any]) -> None:
    """No schedule fires into what a test looks at: the tests start such runs themselves."""
    scheduler = stack.client(running, "scheduler")
    names = {"Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target"}
    for one in scheduler.list_schedules()["Schedules"]:
        known = scheduler.get_schedule(Name=one["Name"], GroupName=one["GroupName"])
        scheduler.update_schedule(**{name: known[name] for name in names}, State="DISABLED")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a stack brings it up, the first of some modules makes all that the others look at."""
    here = Path(__file__).parent
    # xdist runs one test of each id: a second one would be left out in silence.
    assert len({item.nodeid for item in items}) == len(items)
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test knows."""
    return f"tenant-{uuid.uuid4().hex[:12]}"


type Client = Callable[..., httpx.Client]


@pytest.fixture
def client(running: dict[str, Any], tenant: str) -> Iterator[Client]:
    """Makes clients of the API: by default the test's tenant, with both scopes."""
    made: list[httpx.Client] = []

    def make(*, of: str = tenant, scope: str = "recordings:read recordings:write") -> httpx.Client:
        token = stack.token(running, of, scope)
        made.append(
            httpx.Client(
                base_url=f"{running['api_url']}/api/v1",
                headers={"Authorization": f"Bearer {token}"},
                timeout=MAX_WAIT_SECONDS,
                transport=transport(),
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api(client: Client) -> httpx.Client:
    return client()


@pytest.fixture
def cloudflare(running: dict[str, Any]) -> Iterator[httpx.Client]:
    """The stand-in's control API; every fault is taken back afterwards."""
    with httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as control:
        yield control
        calm(running, control)


def calm(running: dict[str, Any], control: httpx.Client) -> None:
    """No fault strikes any more, and the minutes that Cloudflare asked us to wait after a 429 are over."""
    control.delete("/faults").raise_for_status()
    key = {"pk": {"S": "BUDGET"}, "sk": {"S": "CLOUDFLARE"}}
    stack.client(running, "dynamodb").delete_item(TableName=running["tables"]["Table"], Key=key)
