from collections.abc import Iterator

import pytest

from tests.integration.client.support import Caller, Server


@pytest.fixture(params=["blocking", "asyncio"])
def call(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as server:
        yield server
