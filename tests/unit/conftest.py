"""Unit tests need no network: whoever opens a socket, other than between two local processes, gets an error."""

from collections.abc import Generator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Refuse sockets from before a test's first fixture. pytest calls this hook for the tests of this folder alone."""
    disable_socket(allow_unix_socket=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Allow sockets again after a test's last fixture."""
    try:
        return (yield)
    finally:
        enable_socket()
