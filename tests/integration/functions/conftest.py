from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.deployed import Deployed, deployed

NUMBERS = count(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("standin")) as made:
        yield made


@pytest.fixture
def app(made: Deployed) -> Iterator[Deployed]:
    """The functions, loaded once for a module. The table is emptied after each test, because moto copies it often."""
    yield made
    made.empty()


@pytest.fixture
def tenant() -> str:
    """A tenant of its own for each test: files stay for the whole module."""
    return f"tenant_{next(NUMBERS)}"
