"""The unit tests' own rule: no sockets."""

import socket

import pytest
from pytest_socket import SocketBlockedError


@pytest.mark.filterwarnings("ignore:A test tried to use socket.socket.:UserWarning")
def test_a_unit_test_cannot_open_a_socket() -> None:
    with pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def test_processes_of_this_machine_may_be_connected() -> None:
    first, second = socket.socketpair(socket.AF_UNIX)
    with first, second:
        first.sendall(b"x")
        assert second.recv(1) == b"x"
