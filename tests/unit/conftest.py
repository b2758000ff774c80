"""Unit tests need no network: whoever opens a socket, other than between two local processes, gets an error."""

from collections.abc import Generator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Refuse sockets from before a test's fixtures until after them. Fixtures of a whole module are included."""
    disable_socket(allow_unix_socket=True)
    try:
        return (yield)
    finally:
        enable_socket()
