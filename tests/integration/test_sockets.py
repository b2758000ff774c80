"""The integration tests may open sockets, also after unit tests in the same process."""

import socket


def test_an_integration_test_can_open_a_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.bind(("127.0.0.1", 0))
